// What the penalty box is for people with tokens: who may go on when it opens, and who must prove themselves again.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setUser } from "@tidegate/auth";
import { systemClock, systemRandom, type Clock } from "@tidegate/clock";
import {
  issuer as startIssuer,
  startUpstream,
  tempFolder,
  waitFor,
  type RawAnswer,
} from "@tidegate/testkit";
import { fastClock, get, readProblem, startGateway } from "./http-harness.ts";
import { setUpSessions } from "./session-harness.ts";

const close = "Connection: close";

/** Time of which a penalty of 30 s lasts two of ours, on the wall too: sign-ins are told by it. */
function fastTime(): Clock {
  const startedMs = systemClock.monotonicMs();
  const startedWallMs = systemClock.wallMs();
  const passedMs = (): number => (systemClock.monotonicMs() - startedMs) * 15;
  return {
    monotonicMs: passedMs,
    wallMs: () => startedWallMs + passedMs(),
    after: (delayMs, task) => systemClock.after(delayMs / 15, task),
  };
}

async function setUp(clock: Clock) {
  await using parts = new AsyncDisposableStack();
  const folder = parts.use(await tempFolder());
  const provider = parts.use(await startIssuer({ algorithms: ["ES256"], clock }));
  const upstream = parts.use(await startUpstream());
  await setUser({
    path: folder.file("users.json"),
    fileName: "people",
    user: "ada",
    password: "a good long password",
    scopes: [],
    random: systemRandom,
  });
  const auth = { by: ["people", "staff"] };
  const gateway = parts.use(
    await startGateway({
      targets: [upstream.url],
      clock,
      penalty: {},
      identity: {
        people: { kind: "oidc", issuer: provider.url, audience: "https://api.test" },
        staff: { kind: "users-file", file: folder.file("users.json") },
      },
      routes: [
        {
          path: "/limited",
          auth,
          limits: [{ kind: "window", limit: 1, seconds: 3_600, per: "user" }],
        },
        { path: "/free", auth },
        { path: "/pay", auth: { by: ["people"], scopes: ["pay"], acr: ["phr"] } },
        {
          path: "/open",
          limits: [{ kind: "window", limit: 1, seconds: 3_600, per: "address" }],
        },
      ],
    }),
  );
  const nowSeconds = (): number => Math.floor(clock.wallMs() / 1_000);
  const mint = async (claims: Readonly<Record<string, unknown>> = {}): Promise<string> =>
    `Authorization: Bearer ${await provider.mint({ exp: nowSeconds() + 3_000, ...claims })}`;
  const ask = (path: string, credential: string): Promise<RawAnswer> =>
    gateway.ask(get(path, [credential, close]));
  /** Goes on until boxed. */
  const flood = async (path: string, credential: string): Promise<void> => {
    const began = (await gateway.logged("penalty.began")).length;
    for (let count = 0; count < 40; count++) await ask(path, credential);
    await gateway.loggedAtLeast("penalty.began", began + 1);
    assert.equal((await ask(path, credential)).status, 429);
  };
  const opened = (credential: string): Promise<RawAnswer> =>
    waitFor(
      async () => {
        const answer = await ask("/free", credential);
        return answer.status === 429 ? undefined : answer;
      },
      { what: "the box to open" },
    );
  const owned = parts.move();
  return {
    gateway,
    ask,
    flood,
    opened,
    mint,
    nowSeconds,
    upstream,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const typeOf = (answer: RawAnswer): string => readProblem(answer).type.split("/").at(-1) as string;

describe("after a penalty", () => {
  test("a person must sign in again: no older token helps, refreshed or not, and a new sign-in does", async () => {
    const clock = fastTime();
    await using t = await setUp(clock);
    const signedIn = t.nowSeconds() - 5;
    const token = await t.mint({ auth_time: signedIn });
    const phone = await t.mint({ auth_time: signedIn, client_id: "phone" });
    const startedSeconds = t.nowSeconds();
    await t.flood("/limited", token);
    const boxedSeconds = t.nowSeconds();
    assert.equal(readProblem(await t.ask("/free", token))["reauthenticationRequired"], true);
    // The first penalty holds the person with this client alone.
    assert.equal((await t.ask("/free", phone)).status, 200);
    await waitFor(() => t.nowSeconds() > boxedSeconds, { what: "the next second" });
    // Signed in before it was over: that does not open the box.
    const early = await t.mint();
    assert.equal((await t.ask("/free", early)).status, 429);

    const answer = await t.opened(token);
    assert.equal(answer.status, 401);
    assert.equal(typeOf(answer), "reauthentication-required");
    const challenge = answer.field("www-authenticate") ?? "";
    const maxAge = Number(/, max_age=(\d+)$/.exec(challenge)?.[1]);
    assert.equal(
      challenge.replace(/\d+$/, "N"),
      'Bearer realm="tidegate", error="insufficient_user_authentication", ' +
        'error_description="A stronger or fresher sign-in is needed", max_age=N',
    );
    const nowSeconds = t.nowSeconds();
    assert.ok(maxAge <= nowSeconds - startedSeconds - 1, `${maxAge}`);
    assert.ok(maxAge >= 29 && nowSeconds - maxAge <= boxedSeconds + 2, `${maxAge}`);

    const refreshed = await t.mint({ auth_time: signedIn, iat: t.nowSeconds() });
    assert.equal((await t.ask("/free", refreshed)).status, 401);
    for (const auth_time of [undefined, 0, `${t.nowSeconds()}`])
      assert.equal((await t.ask("/free", await t.mint({ auth_time }))).status, 401);
    const before = t.upstream.requests.length;
    assert.equal((await t.ask("/free", early)).status, 200);
    assert.equal((await t.ask("/free", await t.mint())).status, 200);
    assert.equal(t.upstream.requests.length, before + 2);
  });

  test("the challenge asks for all that the route lacks in one round trip", async () => {
    const clock = fastTime();
    await using t = await setUp(clock);
    const token = await t.mint();
    await t.flood("/limited", token);
    await t.opened(token);
    const challenge = (await t.ask("/pay", token)).field("www-authenticate") ?? "";
    assert.match(challenge, /acr_values="phr", max_age=\d+, scope="pay"$/);
    const scoped = await t.mint({ auth_time: 1_000, scope: "pay", acr: "phr" });
    const rest = (await t.ask("/pay", scoped)).field("www-authenticate") ?? "";
    assert.doesNotMatch(rest, /acr_values|scope=/);
    assert.match(rest, /max_age=\d+$/);
  });

  test("who cannot sign in is free when the box opens: client credentials, and passwords", async () => {
    const clock = fastTime();
    await using t = await setUp(clock);
    const machine = await t.mint({ sub: "test-client", auth_time: undefined });
    const password = `Authorization: Basic ${Buffer.from("ada:a good long password").toString("base64")}`;
    for (const credential of [machine, password]) {
      await t.flood("/limited", credential);
      const boxed = readProblem(await t.ask("/free", credential));
      assert.equal(boxed["reauthenticationRequired"], false);
      assert.equal((await t.opened(credential)).status, 200);
    }
  });
});

describe("after a penalty, a browser session", () => {
  test("is of no use until its person signs in again; single sign-on is no sign-in", async () => {
    // Fast for the box alone: sign-ins are told by the wall.
    const clock = fastClock(15);
    const auth = { by: ["people"] };
    await using t = await setUpSessions({
      clock,
      penalty: {},
      routes: [
        {
          path: "/limited",
          auth,
          limits: [{ kind: "window", limit: 1, seconds: 3_600, per: "user" }],
        },
        { path: "/free", auth },
        { path: "/open", navigable: true },
      ],
    });
    const browser = await t.signedIn("ada");
    for (let count = 0; count < 33; count++) await t.call(browser, "/limited");
    await t.gateway.loggedAtLeast("penalty.began", 1);
    const boxed = await t.call(browser, "/free");
    assert.equal(boxed.status, 429);
    assert.match(boxed.body, /"reauthenticationRequired":true/);
    const opened = await waitFor(
      async () => {
        const answer = await t.call(browser, "/free");
        return answer.status === 429 ? undefined : answer;
      },
      { what: "the box to open" },
    );
    assert.equal(opened.status, 401);
    const challenge = String(opened.headers["www-authenticate"]);
    const maxAge = /error="insufficient_user_authentication".*, max_age=(\d+)$/.exec(
      challenge,
    )?.[1];
    assert.notEqual(maxAge, undefined, challenge);

    // The provider still knows them, and lets them through without a word.
    await browser.go(`${t.url}/.tidegate/sign-in?returnTo=/open`);
    assert.equal((await t.call(browser, "/free")).status, 401);
    const stepUp = `${t.url}/.tidegate/step-up?maxAge=${maxAge}&prompt=login&returnTo=/open`;
    await browser.go(stepUp, { as: "ada" });
    assert.equal((await t.call(browser, "/free")).status, 200);
  });
});

describe("a boxed address", () => {
  test("refuses who shows nothing good, and lets in who does", async () => {
    await using t = await setUp(systemClock);
    const known = await t.mint();
    assert.equal((await t.ask("/free", known)).status, 200);
    await t.flood("/open", "X-Nobody: at all");
    for (const credential of ["X-Nobody: at all", "Authorization: Bearer nonsense"]) {
      const answer = await t.ask("/free", credential);
      assert.equal(answer.status, 429);
      assert.equal(typeOf(answer), "abnormal-usage-detected");
    }
    assert.equal((await t.ask("/free", known)).status, 200);
    assert.equal((await t.ask("/free", await t.mint({ sub: "grace" }))).status, 200);
  });

  test("has only so many new credentials checked; those that are known pass at once", async () => {
    await using t = await setUp(systemClock);
    const known = await t.mint();
    assert.equal((await t.ask("/free", known)).status, 200);
    await t.flood("/open", "X-Nobody: at all");
    const [head, claims] = known.split(".") as [string, string];
    const statuses: number[] = [];
    for (let count = 0; count < 80; count++) {
      // Well-formed, and signed by nobody: each of them costs a check.
      const forged = `${head}.${claims}.${systemRandom.bytes(64).toString("base64url")}`;
      statuses.push((await t.ask("/free", forged)).status);
    }
    const checked = statuses.filter((status) => status === 429).length;
    assert.ok(checked >= 20 && checked < 70, `${checked} were checked`);
    assert.equal(statuses.filter((status) => status === 503).length, 80 - checked);
    assert.equal((await t.ask("/free", known)).status, 200);
  });
});
