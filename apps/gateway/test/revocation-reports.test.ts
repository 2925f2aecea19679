// Providers and transmitters report ended sessions: what they may say ends them on every worker, whatever else is
// posted changes nothing.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { issuer, startUpstream, type Issuer } from "@tidegate/testkit";
import { get, startGateway, type GatewayUnderTest } from "./http-harness.ts";

const AUDIENCE = "https://api.test";
const CLIENT = "gateway";
const STREAM = "https://gateway.test/events";
const LOGOUT = "http://schemas.openid.net/event/backchannel-logout";
const REVOKED = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";

async function open(threads: number) {
  await using parts = new AsyncDisposableStack();
  const people = parts.use(await issuer());
  const others = parts.use(await issuer());
  const signals = parts.use(await issuer());
  const upstream = parts.use(await startUpstream());
  const gateway = parts.use(
    await startGateway({
      targets: [upstream.url],
      threads,
      routes: [{ path: "/**", auth: { by: ["people", "others"] } }],
      identity: {
        people: { kind: "oidc", issuer: people.url, audience: AUDIENCE, client: { id: CLIENT } },
        others: { kind: "oidc", issuer: others.url, audience: AUDIENCE },
      },
      revocation: {
        transmitters: {
          risk: { issuer: signals.url, audience: STREAM, speaksFor: ["people"] },
        },
      },
    }),
  );
  const owned = parts.move();
  return {
    people,
    others,
    signals,
    gateway,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const NOW = (): number => Math.floor(Date.now() / 1_000);
const NONE = { auth_time: undefined, client_id: undefined };

const logoutToken = (by: Issuer, claims: object = {}, header: object = {}): Promise<string> =>
  by.mint(
    {
      ...NONE,
      aud: CLIENT,
      exp: NOW() + 120,
      sid: "session-1",
      events: { [LOGOUT]: {} },
      ...claims,
    },
    { header: { typ: "logout+jwt", ...header } },
  );

const signal = (by: Issuer, claims: object = {}, header: object = {}): Promise<string> =>
  by.mint(
    { ...NONE, sub: undefined, exp: undefined, aud: STREAM, events: { [REVOKED]: {} }, ...claims },
    { header: { typ: "secevent+jwt", ...header } },
  );

const FORM = "application/x-www-form-urlencoded";

const post = (
  { port }: GatewayUnderTest,
  path: string,
  body: string,
  type: string,
): Promise<Response> =>
  fetch(`http://localhost:${port}/.tidegate/${path}`, {
    method: "POST",
    headers: { "content-type": type },
    body,
  });

const postLogout = (gateway: GatewayUnderTest, token: string): Promise<Response> =>
  post(
    gateway,
    "backchannel-logout",
    new URLSearchParams({ logout_token: token }).toString(),
    FORM,
  );

const postSignal = (gateway: GatewayUnderTest, token: string): Promise<Response> =>
  post(gateway, "events", token, "application/secevent+jwt");

async function statuses(gateway: GatewayUnderTest, token: string): Promise<number[]> {
  const asked = Array.from({ length: 6 }, () =>
    gateway.ask(get("/x", [`Authorization: Bearer ${token}`, "Connection: close"])),
  );
  return [...new Set((await Promise.all(asked)).map(({ status }) => status))];
}

for (const threads of [0, 2]) {
  describe(`reports of ended sessions over ${threads} workers`, () => {
    test("back-channel logout ends the session it names, and only with a good token of its provider", async () => {
      await using t = await open(threads);
      const { gateway, people, others } = t;
      const token = await people.mint({ sid: "session-1" });
      const elsewhere = await people.mint({ sid: "session-2" });
      assert.deepEqual(await statuses(gateway, token), [200]);
      const access = await people.mint({ sid: "session-1", aud: CLIENT });
      const bad: [string, string][] = [
        ["an access token", access],
        ["an ID token", await logoutToken(people, { nonce: "n" })],
        ["without event", await logoutToken(people, { events: {} })],
        ["for another client", await logoutToken(people, { aud: "another" })],
        ["for several clients", await logoutToken(people, { aud: [CLIENT, "another"] })],
        ["of a provider without a client here", await logoutToken(others)],
        ["in another's name", await logoutToken(others, { iss: people.url })],
        ["old", await logoutToken(people, { iat: NOW() - 300, exp: NOW() - 180 })],
        ["long-lived", await logoutToken(people, { exp: NOW() + 3_600 })],
        ["of nobody", await logoutToken(people, { sub: undefined, sid: undefined })],
        ["of another type", await logoutToken(people, {}, { typ: "at+jwt" })],
        ["unsigned", `${(await logoutToken(people)).split(".").slice(0, 2).join(".")}.`],
        ["no token", "x"],
        ["too long", "x".repeat(20_000)],
      ];
      for (const [what, text] of bad) {
        const answer = await postLogout(gateway, text);
        assert.equal(answer.status, 400, what);
        assert.equal(answer.headers.get("cache-control"), "no-store", what);
        assert.deepEqual(await answer.json(), { error: "invalid_request" }, what);
      }
      const good = await logoutToken(people);
      const twice = new URLSearchParams([
        ["logout_token", good],
        ["logout_token", good],
      ]);
      assert.equal((await post(gateway, "backchannel-logout", twice.toString(), FORM)).status, 400);
      assert.equal((await post(gateway, "backchannel-logout", good, "text/plain")).status, 400);
      const asLink = `http://localhost:${gateway.port}/.tidegate/backchannel-logout?logout_token=${good}`;
      assert.equal((await fetch(asLink)).status, 405);
      assert.deepEqual(await statuses(gateway, token), [200]);

      const answer = await postLogout(gateway, good);
      assert.equal(answer.status, 200);
      assert.equal(answer.headers.get("cache-control"), "no-store");
      assert.deepEqual(await statuses(gateway, token), [401]);
      assert.deepEqual(await statuses(gateway, elsewhere), [200]);
      assert.equal((await postLogout(gateway, good)).status, 400, "a replay");
    });

    test("one logout token counts once, however many arrive at the same time", async () => {
      await using t = await open(threads);
      const good = await logoutToken(t.people);
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => postLogout(t.gateway, good)),
      );
      const taken = answers.filter(({ status }) => status === 200);
      const refused = answers.filter(({ status }) => status === 400);
      assert.deepEqual([taken.length, refused.length], [1, 19]);
      assert.equal((await t.gateway.loggedAtLeast("revocation.recorded", 1)).length, 1);
    });

    test("by person it ends every sign-in until then; of an unknown session it changes nothing", async () => {
      await using t = await open(threads);
      const { gateway, people } = t;
      const token = await people.mint({ sid: "session-9" });
      assert.equal((await postLogout(gateway, await logoutToken(people))).status, 200);
      assert.deepEqual(await statuses(gateway, token), [200]);
      const bySubject = await logoutToken(people, { sid: undefined });
      assert.equal((await postLogout(gateway, bySubject)).status, 200);
      assert.deepEqual(await statuses(gateway, token), [401]);
      const grace = await people.mint({ sub: "grace" });
      assert.deepEqual(await statuses(gateway, grace), [200]);
    });

    test("a signal ends sessions of the issuers its transmitter speaks for, and of nobody else", async () => {
      await using t = await open(threads);
      const { gateway, people, others, signals } = t;
      const ada = await people.mint();
      const otherAda = await others.mint();
      const sub = (iss: string) => ({ sub_id: { format: "iss_sub", iss, sub: "ada" } });
      const bad: [string, string, string][] = [
        ["invalid_request", "another's issuer", await signal(signals, sub(others.url))],
        [
          "invalid_request",
          "nobody's session",
          await signal(signals, { sub_id: { format: "opaque", id: "s" } }),
        ],
        ["invalid_request", "no subject", await signal(signals)],
        ["invalid_issuer", "no transmitter", await signal(people, sub(people.url))],
        [
          "invalid_issuer",
          "another audience",
          await signal(signals, { ...sub(people.url), aud: "x" }),
        ],
        [
          "authentication_failed",
          "another's name",
          await signal(
            others,
            { ...sub(people.url), iss: signals.url },
            { kid: signals.keySet().keys[0]?.kid },
          ),
        ],
        ["invalid_request", "a logout token", await logoutToken(signals, { aud: STREAM })],
        ["invalid_issuer", "garbage", "x"],
      ];
      for (const [error, what, text] of bad) {
        const answer = await postSignal(gateway, text);
        assert.equal(answer.status, 400, what);
        const { err } = (await answer.json()) as { err: string };
        assert.equal(err, error, what);
      }
      const good = await signal(signals, sub(people.url));
      assert.equal((await post(gateway, "events", good, "application/jwt")).status, 400);
      assert.deepEqual(await statuses(gateway, ada), [200]);
      assert.deepEqual(await statuses(gateway, otherAda), [200]);

      const answer = await postSignal(gateway, good);
      assert.equal(answer.status, 202);
      assert.equal(await answer.text(), "");
      assert.deepEqual(await statuses(gateway, ada), [401]);
      assert.deepEqual(await statuses(gateway, otherAda), [200]);
      // A transmitter that did not hear us delivers again (RFC 8935 §2).
      assert.equal((await postSignal(gateway, good)).status, 202);
      assert.equal((await gateway.loggedAtLeast("revocation.recorded", 1)).length, 1);
    });

    test("a signal holds from when it happened: a later sign-in goes on, a claimed future does not count", async () => {
      await using t = await open(threads);
      const { gateway, people, signals } = t;
      const sub = { sub_id: { format: "iss_sub", iss: people.url, sub: "ada" } };
      const later = await people.mint({ auth_time: NOW() - 60 });
      const hourAgo = { ...sub, events: { [REVOKED]: { event_timestamp: NOW() - 3_600 } } };
      assert.equal((await postSignal(gateway, await signal(signals, hourAgo))).status, 202);
      assert.deepEqual(await statuses(gateway, later), [200]);
      const earlier = await people.mint({ auth_time: NOW() - 4_000 });
      assert.deepEqual(await statuses(gateway, earlier), [401]);
      const future = { ...sub, events: { [REVOKED]: { event_timestamp: NOW() + 86_400 } } };
      assert.equal((await postSignal(gateway, await signal(signals, future))).status, 202);
      const lines = await gateway.loggedAtLeast("revocation.recorded", 2);
      assert.equal(lines.length, 2);
      const answer = await fetch(new URL("/revocations", gateway.adminUrl), {
        headers: { authorization: `Bearer ${await gateway.adminToken()}` },
      });
      const { revocations } = (await answer.json()) as { revocations: { atSeconds: number }[] };
      for (const { atSeconds } of revocations) assert.ok(atSeconds <= NOW());
    });

    test("keys that cannot be fetched are no refusal: whoever reports is told to come back", async () => {
      await using t = await open(threads);
      t.people.outage = "error";
      const answer = await postLogout(t.gateway, await logoutToken(t.people));
      assert.equal(answer.status, 503);
      assert.ok(Number(answer.headers.get("retry-after")) >= 1);
    });
  });
}
