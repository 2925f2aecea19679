import assert from "node:assert/strict";
import { describe, mock, test } from "node:test";
import { waitFor } from "@tidegate/testkit";
import * as jose from "jose";
import * as client from "openid-client";
import {
  CLIENTS,
  PASSWORD,
  startIdentityUnderTest,
  type IdentityUnderTest,
} from "./identity-under-test.ts";
import { logoutReceiver } from "./logout-receiver.ts";
import { assertAllGone, signInTwice } from "./sign-in-twice.ts";

const told = (url: string): object[] =>
  CLIENTS.map((one) => (one.id === "gateway" ? { ...one, backchannelLogoutUri: url } : one));

describe("the end of a session", () => {
  const ways: readonly [
    string,
    (
      identity: IdentityUnderTest,
      browser: ReturnType<IdentityUnderTest["browser"]>,
    ) => Promise<void>,
  ][] = [
    [
      "by the person, on the sign-out page",
      async (_identity, browser) => {
        await browser.open("/sign-out");
        const shown = await browser.submit({ logout: "yes" });
        assert.match(shown.text, /You are signed out/);
      },
    ],
    [
      "by the person, on the account page",
      async (identity) => {
        const { createSessionDirectory } = await import("../src/provider/session-directory.ts");
        const directory = createSessionDirectory(identity.server.provider.sessions);
        const [session] = await directory.list(identity.adaId);
        await directory.end(identity.adaId, session?.id ?? "");
        assertReason(identity, "ended-by-person");
      },
    ],
    [
      "by a changed password",
      async (identity) => {
        // Changed in another browser, which stays signed in and is signed out here so that nothing is left.
        const other = identity.browser();
        await other.open("/sign-in?returnTo=/account");
        await other.submit({ login: "ada", password: PASSWORD });
        const shown = await other.open("/account");
        const formToken = /name="formToken" value="([^"]*)"/.exec(shown.text)?.[1] ?? "";
        const form = { formToken, current: PASSWORD, password: "another fine passphrase" };
        const answer = await other.request("/account/password", {
          method: "POST",
          headers: { origin: identity.issuer, "content-type": "application/x-www-form-urlencoded" },
          body: new URLSearchParams(form).toString(),
        });
        assert.equal(answer.status, 303);
        assertReason(identity, "password-changed");
        const left = await identity.server.provider.sessions.list(identity.adaId);
        assert.equal(left.length, 1);
        await other.open("/sign-out");
        await other.submit({ logout: "yes" });
      },
    ],
    [
      "by an administrator",
      async (identity) => void (await admin(identity, "POST", "/people/ada/end-sessions")),
    ],
    [
      "by disabling the person",
      async (identity) => {
        await admin(identity, "POST", "/people/ada/disable");
        await admin(identity, "POST", "/people/ada/enable");
      },
    ],
  ];
  for (const [way, end] of ways) {
    test(`${way} ends its grants and tokens, and its clients are told`, async () => {
      await using receiver = await logoutReceiver();
      await using identity = await startIdentityUnderTest({ clients: told(receiver.url) });
      const all = await signInTwice(identity);
      const sid = all.jwt.claims()?.["sid"];
      await end(identity, all.browser);
      await waitFor(() => receiver.received.length > 0, { what: "a logout token" });
      const token = new URLSearchParams(receiver.received[0]).get("logout_token") ?? "";
      const jwks = jose.createRemoteJWKSet(new URL(`${identity.issuer}/jwks`));
      const { payload, protectedHeader } = await jose.jwtVerify(token, jwks, {
        issuer: identity.issuer,
        audience: "gateway",
      });
      assert.equal(protectedHeader.typ, "logout+jwt");
      assert.equal(payload.sub, identity.adaId);
      assert.equal(payload["sid"], sid);
      assert.deepEqual(payload["events"], {
        "http://schemas.openid.net/event/backchannel-logout": {},
      });
      assert.ok((payload.exp ?? 0) - (payload.iat ?? 0) <= 120);
      assert.equal(typeof payload.jti, "string");
      assert.equal("nonce" in payload, false);
      await assertAllGone(identity, all);
    });
  }

  test("is told again to a client that was down, also after a restart", async () => {
    await using receiver = await logoutReceiver();
    await using identity = await startIdentityUnderTest({ clients: told(receiver.url) });
    const all = await signInTwice(identity);
    assert.ok(all.browser);
    receiver.answer = 503;
    await identity.server.provider.sessions.endAll(identity.adaId, "ended-by-administrator");
    await waitFor(() => identity.log().some(({ event }) => event === "logout.undelivered"), {
      what: "a failed delivery",
    });
    receiver.answer = 200;
    const before = receiver.received.length;
    await identity.restart();
    await waitFor(() => receiver.received.length > before, { what: "another delivery" });
    await waitFor(() => identity.log().some(({ event }) => event === "logout.delivered"), {
      what: "its success",
    });
  });

  test("is told to configured addresses alone: the guard against private networks holds for all others", async () => {
    const { createGuardedFetch } = await import("../src/provider/guarded-fetch.ts");
    const seen: unknown[] = [];
    const guarded = createGuardedFetch({
      logoutUris: new Set(["http://127.0.0.1:1/logout"]),
      fetch: (_url, init) => {
        seen.push((init as { dispatcher?: unknown }).dispatcher);
        return Promise.resolve(new Response());
      },
    });
    const init = { dispatcher: "guard" } as unknown as RequestInit;
    await guarded("http://127.0.0.1:1/logout", init);
    await guarded("http://127.0.0.1:1/logout?x", init);
    await guarded("http://127.0.0.1:1/LOGOUT", init);
    await guarded("http://127.0.0.1:2/logout", init);
    assert.deepEqual(seen, [undefined, "guard", "guard", "guard"]);
  });

  test("that comes by itself, after a day without use, is told as well", async (context) => {
    await using receiver = await logoutReceiver();
    await using identity = await startIdentityUnderTest({ clients: told(receiver.url) });
    await signInTwice(identity);
    mock.timers.enable({ apis: ["Date"], now: Date.now() + 86_401_000 });
    context.after(() => mock.timers.reset());
    await identity.server.provider.keepHouse();
    await waitFor(() => receiver.received.length === 1, { what: "a logout token" });
    const left = await identity.server.provider.artifacts.queries
      .selectFrom("artifacts")
      .select("kind")
      .where("kind", "in", ["Session", "RefreshToken", "AccessToken", "AuthorizationCode"])
      .execute();
    assert.deepEqual(left, []);
  });

  test("holds for what was under way: nothing saved afterwards brings it back", async () => {
    await using identity = await startIdentityUnderTest();
    const { browser, party } = await signInTwice(identity);
    const thief = browser.copy();
    const request = await party.begin();
    const shown = await browser.open(request.url);
    const { provider } = identity.server;
    const [record] = await provider.sessions.list(identity.adaId);
    const uid = record?.session.uid ?? "";
    const stale = await provider.artifacts.findSessionByUid(uid);
    await provider.sessions.endAll(identity.adaId, "ended-by-administrator");
    const isStored = await provider.artifacts.put({
      kind: "Session",
      id: "a request that was under way",
      payload: stale ?? {},
      expiresAtSeconds: provider.artifacts.nowSeconds() + 60,
      isFinal: false,
      sessionUid: uid,
      personId: identity.adaId,
    });
    assert.equal(isStored, false);
    await assert.rejects(request.redeem(shown.url), { error: "invalid_grant" });
    assert.match((await thief.open((await party.begin()).url)).text, /name="password"/);
  });

  test("reaches a person who is disabled in the middle of a sign-in", async () => {
    await using identity = await startIdentityUnderTest();
    const { browser, party, jwt } = await signInTwice(identity);
    const { people, provider } = identity.server;
    // Between the two steps of disabling somebody: the person is disabled, their sessions are not ended yet.
    await people.store.setDisabled(identity.adaId, true);
    await assert.rejects(client.refreshTokenGrant(party.config, jwt.refresh_token ?? ""), {
      error: "invalid_grant",
    });
    const shown = await browser.open((await party.begin()).url);
    assert.equal(new URL(shown.url).searchParams.get("error"), "access_denied");
    assert.deepEqual(await provider.sessions.list(identity.adaId), []);
    await people.store.setDisabled(identity.adaId, false);
    assert.match((await browser.open((await party.begin()).url)).text, /name="password"/);
  });

  test("spares the session that changed the password", async () => {
    await using identity = await startIdentityUnderTest();
    const { browser, party, jwt } = await signInTwice(identity);
    const other = await party.signIn(identity.browser("Another browser"));
    const { sessions } = identity.server.provider;
    const kept = (await sessions.list(identity.adaId)).find(
      ({ userAgent }) => userAgent !== "Another browser",
    );
    await sessions.endAll(identity.adaId, "password-changed", { exceptUid: kept?.session.uid });
    assert.ok((await client.refreshTokenGrant(party.config, jwt.refresh_token ?? "")).access_token);
    assert.equal((await browser.open((await party.begin()).url)).isForeign, true);
    await assert.rejects(client.refreshTokenGrant(party.config, other.refresh_token ?? ""));
  });

  test("ends a client that was allowed to go on offline only when somebody ends it", async (context) => {
    await using identity = await startIdentityUnderTest();
    const party = await identity.relyingParty();
    const browser = identity.browser();
    const request = await party.begin({
      scope: "openid offline_access tasks:read",
      prompt: "consent",
    });
    await browser.open(request.url);
    await browser.submit({ login: "ada", password: PASSWORD });
    const shown = await browser.submit({ decision: "allow" });
    let tokens = await request.redeem(shown.url);
    mock.timers.enable({ apis: ["Date"], now: Date.now() + 20 * 86_400_000 });
    context.after(() => mock.timers.reset());
    await identity.server.provider.keepHouse();
    tokens = await client.refreshTokenGrant(party.config, tokens.refresh_token ?? "");
    assert.ok(tokens.access_token);
    await identity.server.provider.sessions.endAll(identity.adaId, "ended-by-administrator");
    await assert.rejects(client.refreshTokenGrant(party.config, tokens.refresh_token ?? ""), {
      error: "invalid_grant",
    });
  });
});

async function admin(identity: IdentityUnderTest, method: string, path: string): Promise<unknown> {
  const { readFileSync } = await import("node:fs");
  const token = readFileSync(`${identity.folder}/admin-token`, "utf8").trim();
  const answer = await fetch(`${identity.server.adminUrl}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}` },
  });
  assert.equal(answer.ok, true, `${answer.status}`);
  return answer.json();
}

/** Every session that ended did so for this reason: the audit trail says what happened. */
function assertReason(identity: IdentityUnderTest, reason: string): void {
  const ended = identity.log().filter(({ event }) => event === "session.ended");
  assert.ok(ended.length > 0);
  for (const line of ended) assert.equal(line["reason"], reason);
}
