// The swap proof: one suite against the provider in the box and against one of somebody else's, with nothing changed but
// the provider's entry in the configuration.

import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, test } from "node:test";
import { freePort, missingProgram, startUpstream, waitFor } from "@tidegate/testkit";
import { WebSocket as WsClient } from "ws";
import { get, startGateway, type GatewayOptions } from "./http-harness.ts";
import {
  embeddedProvider,
  glewlwydProvider,
  type OutsidePerson,
  type OutsideProvider,
} from "./outside-provider.ts";
import { SESSION, shiftedClock } from "./session-harness.ts";
import { TestBrowser, type BrowserRequest } from "./test-browser.ts";

const STRONGER = "phr";
const PASSWORD_LEVEL = "urn:tidegate:acr:pwd";

async function setUp(
  start: (url: string) => Promise<OutsideProvider>,
  {
    threads = 2,
    identityOf = (provider: OutsideProvider): GatewayOptions["identity"] => ({
      people: provider.people,
    }),
  } = {},
) {
  await using parts = new AsyncDisposableStack();
  const port = await freePort();
  const url = `http://localhost:${port}`;
  const upstream = parts.use(await startUpstream());
  const provider = parts.use(await start(url));
  const clock = shiftedClock();
  const by = { by: ["people"] };
  const gateway = parts.use(
    await startGateway({
      targets: [upstream.url],
      threads,
      clock,
      listen: { port, publicUrl: url },
      identity: identityOf(provider),
      routes: [
        { path: "/tasks/**", methods: ["GET"], auth: { ...by, scopes: ["tasks:read"] } },
        { path: "/tasks/**", methods: ["POST"], auth: { ...by, scopes: ["tasks:write"] } },
        { path: "/level", auth: { ...by, acr: [PASSWORD_LEVEL] } },
        { path: "/fresh", auth: { ...by, maxAgeSeconds: 300 } },
        { path: "/strong", auth: { ...by, acr: [STRONGER] } },
        { path: "/live", auth: by, websocket: {} },
        { path: "/open", navigable: true },
      ],
    }),
  );
  const owned = parts.move();
  /** Our own redirects, to the provider, by its pages back to the callback, and on. */
  const walk = async (browser: TestBrowser, person: OutsidePerson, path: string) => {
    const begun = await browser.open(`${url}${path}`);
    assert.equal(begun.status, 303, begun.body);
    assert.ok(begun.location !== undefined);
    assert.ok(begun.location.href.startsWith(provider.issuer), begun.location.href);
    const callback = await person.authorize(begun.location);
    return browser.go(callback);
  };
  const call = (browser: TestBrowser, path: string, { headers, ...rest }: BrowserRequest = {}) =>
    browser.open(`${url}${path}`, {
      isNavigation: false,
      site: "same-origin",
      headers: { ...(rest.method === undefined ? {} : { origin: url }), ...headers },
      ...rest,
    });
  const bearer = (token: string, path: string) =>
    gateway.ask(get(path, [`Authorization: Bearer ${token}`, "Connection: close"]));
  return {
    url,
    upstream,
    provider,
    clock,
    gateway,
    walk,
    call,
    bearer,
    async signedIn(person: OutsidePerson, browser = new TestBrowser()) {
      const page = await walk(browser, person, "/.tidegate/sign-in?returnTo=/open");
      assert.equal(page.url.href, `${url}/open`, page.body);
      assert.equal(page.status, 200);
      return browser;
    },
    status: async (browser: TestBrowser, path = "/tasks/1") => (await call(browser, path)).status,
    /** Of every worker: connections go round. */
    async statuses(token: string, path = "/tasks/1") {
      const asked = await Promise.all(Array.from({ length: 6 }, () => bearer(token, path)));
      return [...new Set(asked.map(({ status }) => status))];
    },
    async revoke(query: Readonly<Record<string, string>>) {
      const search = new URLSearchParams(query).toString();
      const answer = await fetch(`${gateway.adminUrl}/revocations?${search}`, {
        method: "POST",
        headers: { authorization: `Bearer ${await gateway.adminToken()}` },
      });
      assert.equal(answer.status, 200, await answer.text());
    },
    async socket(browser: TestBrowser) {
      const cookie = `${SESSION}=${browser.cookie("localhost", SESSION)}`;
      const socket = new WsClient(`ws://localhost:${port}/live`, {
        headers: { cookie, origin: url },
      });
      const closed = once(socket, "close").then(([code, reason]) => `${code},${reason}`);
      await once(socket, "open");
      return { socket, closed };
    },
    /** Claims of the assertion that the last call brought to the service. */
    lastAssertion() {
      const [text = ""] = upstream.requests.at(-1)?.values("tidegate-assertion") ?? [];
      const payload = Buffer.from(text.split(".")[1] ?? "", "base64url").toString();
      return JSON.parse(payload) as Record<string, unknown>;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const CHALLENGE = /^Bearer .*error="insufficient_user_authentication"/;

function suite(start: (url: string) => Promise<OutsideProvider>): void {
  test("a person signs in, reads, writes, and signs out", async () => {
    await using t = await setUp(start);
    const browser = await t.signedIn(await t.provider.person("ada"));
    assert.equal(await t.status(browser), 200);
    const assertion = t.lastAssertion();
    assert.equal(assertion["src"], t.provider.issuer);
    assert.match(String(assertion["scope"]), /tasks:read/);
    const shown = JSON.parse((await t.call(browser, "/.tidegate/session")).body) as object;
    assert.equal((shown as { signedIn: boolean }).signedIn, true);

    const write = { method: "POST", body: "{}" };
    const headers = { "tidegate-csrf": "1" };
    assert.equal((await t.call(browser, "/tasks/1", write)).status, 403);
    assert.equal((await t.call(browser, "/tasks/1", { ...write, headers })).status, 200);

    const old = browser.cookie("localhost", SESSION) ?? "";
    const left = await t.call(browser, "/.tidegate/sign-out", { method: "POST", headers });
    const { location } = JSON.parse(left.body) as { location: string };
    assert.ok(location.startsWith(new URL(t.provider.issuer).origin), location);
    assert.match(location, /id_token_hint=/);
    assert.equal(browser.cookie("localhost", SESSION), undefined);
    browser.cookies.get("localhost")?.set(SESSION, old);
    assert.equal(await t.status(browser), 401);
  });

  test("a session is renewed before its tokens end, and says the same as before", async () => {
    // On one thread, which has the test's clock.
    await using t = await setUp(start, { threads: 0 });
    const browser = await t.signedIn(await t.provider.person("ada"));
    const issued = t.provider.issuedToGateway();
    assert.ok(issued >= 1);
    // The access token has half a minute left.
    t.clock.shiftMs = 270_000;
    assert.equal(await t.status(browser), 200);
    await waitFor(() => t.provider.issuedToGateway() > issued, { what: "the refresh" });
    assert.match(String(t.lastAssertion()["scope"]), /tasks:read/);
    assert.deepEqual(await t.gateway.logged("session.not-renewed"), []);
  });

  test("an application's JWT is let in for what it is, and nothing else is", async () => {
    await using t = await setUp(start);
    const ada = await t.provider.person("ada");
    const tokens = await t.provider.tokens(ada, { resource: t.url });
    assert.deepEqual(await t.statuses(tokens.access), [200]);
    assert.equal(t.lastAssertion()["sub"], tokens.subject);
    assert.equal(t.lastAssertion()["client_id"], "app");
    const write = await t.gateway.ask(
      `POST /tasks/1 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${tokens.access}\r\nContent-Length: 0\r\n\r\n`,
    );
    assert.equal(write.status, 403);
    assert.match(write.field("www-authenticate") ?? "", /insufficient_scope.*tasks:write/);
    const idToken = await t.bearer(tokens.id, "/tasks/1");
    assert.equal(idToken.status, 401);
    assert.match(idToken.field("www-authenticate") ?? "", /error="invalid_token"/);
    const [head = "", body = "", signature = ""] = tokens.access.split(".");
    const claims = JSON.parse(Buffer.from(body, "base64url").toString()) as object;
    const raised = { ...claims, scope: "tasks:read tasks:write" };
    const forged = Buffer.from(JSON.stringify(raised)).toString("base64url");
    assert.equal((await t.bearer(`${head}.${forged}.${signature}`, "/tasks/1")).status, 401);
  });

  test("tokens are asked about where that is configured, until the provider says that they are over", async () => {
    await using t = await setUp(start, {
      identityOf: ({ asked }) => ({ people: asked.identity }),
    });
    const ada = await t.provider.person("ada");
    const { resource, client } = t.provider.asked;
    const tokens = await t.provider.tokens(ada, { resource, client });
    assert.deepEqual(await t.statuses("made-up"), [401]);
    assert.deepEqual(await t.statuses(tokens.access), [200]);
    assert.equal(t.lastAssertion()["sub"], tokens.subject);
    await tokens.revoke();
    assert.deepEqual(await t.statuses(tokens.access), [401]);
  });

  test("a revoked person is refused everywhere, by cookie, by token, and on what is open; nobody else is", async () => {
    await using t = await setUp(start);
    const ada = await t.provider.person("ada");
    const grace = await t.provider.person("grace");
    const [adas, graces] = [await t.signedIn(ada), await t.signedIn(grace)];
    const tokens = await t.provider.tokens(ada, { resource: t.url });
    const other = await t.provider.tokens(grace, { resource: t.url });
    const { closed } = await t.socket(adas);
    await t.revoke({ issuer: "people", subject: tokens.subject });
    assert.equal(await closed, "4410,session-revoked");
    assert.equal(await t.status(adas), 401);
    assert.deepEqual(await t.statuses(tokens.access), [401]);
    assert.equal(await t.status(graces), 200);
    assert.deepEqual(await t.statuses(other.access), [200]);
  });

  test("a session that ends at the provider ends here, by its logout token", async () => {
    await using t = await setUp(start);
    const [ada, grace] = [await t.provider.person("ada"), await t.provider.person("grace")];
    const [adas, graces] = [await t.signedIn(ada), await t.signedIn(grace)];
    const ends = await t.socket(adas);
    const stays = await t.socket(graces);
    await ada.endSession();
    assert.equal(await ends.closed, "4410,session-revoked");
    assert.equal(await t.status(adas), 401);
    assert.equal(await t.status(graces), 200);
    assert.equal(stays.socket.readyState, WsClient.OPEN);
    assert.deepEqual(await t.gateway.logged("revocation.report-refused"), []);
  });

  test("step-up reaches what the provider vouches for, and ends on a page that says why beyond it", async () => {
    await using t = await setUp(start);
    const ada = await t.provider.person("ada");
    const browser = await t.signedIn(ada);
    const tokens = await t.provider.tokens(ada, { resource: t.url });
    const vouches = t.provider.levels.includes(PASSWORD_LEVEL);
    for (const [path, told] of [
      ["/level", `acr_values="${PASSWORD_LEVEL}"`],
      ["/fresh", "max_age=300"],
    ] as const) {
      const [session, app] = [await t.call(browser, path), await t.bearer(tokens.access, path)];
      assert.deepEqual([session.status, app.status], vouches ? [200, 200] : [401, 401], path);
      if (vouches) continue;
      for (const field of [session.headers["www-authenticate"], app.field("www-authenticate")]) {
        assert.match(String(field), CHALLENGE);
        assert.ok(String(field).includes(told), String(field));
      }
    }
    const refused = await t.call(browser, "/strong");
    assert.equal(refused.status, 401);
    assert.match(String(refused.headers["www-authenticate"]), CHALLENGE);

    const before = browser.cookie("localhost", SESSION);
    for (const [query, isReached] of [
      [`acr=${STRONGER}`, false],
      [`acr=${PASSWORD_LEVEL}`, vouches],
      ["maxAge=300", vouches],
    ] as const) {
      const page = await t.walk(browser, ada, `/.tidegate/step-up?${query}&returnTo=/open`);
      assert.equal(page.status, isReached ? 200 : 403, `${query}: ${page.body}`);
      assert.equal(page.location, undefined);
      if (isReached) assert.equal(page.url.pathname, "/open");
      else assert.match(page.body, /not strong enough/);
    }
    if (!vouches) assert.equal(browser.cookie("localhost", SESSION), before);
    // What was there before goes on.
    assert.equal(await t.status(browser), 200);
    assert.equal(await t.status(browser, "/strong"), 401);
  });
}

describe("the provider in the box", () => suite(embeddedProvider));

/** Both at once; glewlwyd does not promise to name itself in its answers, so it gets a callback of its own. */
async function bothProviders() {
  await using parts = new AsyncDisposableStack();
  const port = await freePort();
  const url = `http://localhost:${port}`;
  const upstream = parts.use(await startUpstream());
  const box = parts.use(await embeddedProvider(url));
  const callback = `${url}/.tidegate/callback/other`;
  const other = parts.use(await glewlwydProvider(url, { callback }));
  assert.ok(other.people.kind === "oidc" && other.people.browser !== undefined);
  const browser = { ...other.people.browser, ownCallback: true };
  const gateway = parts.use(
    await startGateway({
      targets: [upstream.url],
      threads: 0,
      listen: { port, publicUrl: url },
      identity: { box: box.people, other: { ...other.people, browser } },
      routes: [
        { path: "/box", auth: { by: ["box"] } },
        { path: "/other", auth: { by: ["other"] } },
        { path: "/any", auth: { by: ["box", "other"] } },
        { path: "/open", navigable: true },
      ],
    }),
  );
  const owned = parts.move();
  const bearer = async (token: string, path: string): Promise<number> => {
    const fields = [`Authorization: Bearer ${token}`, "Connection: close"];
    return (await gateway.ask(get(path, fields))).status;
  };
  const signIn = async (person: OutsidePerson, provider: string, visitor: TestBrowser) => {
    const begun = await visitor.open(
      `${url}/.tidegate/sign-in?provider=${provider}&returnTo=/open`,
    );
    assert.ok(begun.location !== undefined, begun.body);
    const page = await visitor.go(await person.authorize(begun.location));
    assert.equal(page.url.href, `${url}/open`, page.body);
  };
  const status = async (visitor: TestBrowser, path: string): Promise<number> =>
    (await visitor.open(`${url}${path}`, { isNavigation: false, site: "same-origin" })).status;
  return {
    url,
    box,
    other,
    gateway,
    bearer,
    signIn,
    status,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

describe("both providers at once", { skip: missingProgram("glewlwyd") }, () => {
  test("the same subject at two providers is two people", async () => {
    await using t = await bothProviders();
    const ada = await t.box.person("ada");
    const stranger = await t.other.person("ada");
    const adas = await t.box.tokens(ada, { resource: t.url });
    const first = await t.other.tokens(stranger, { resource: t.url });
    t.other.changeSubject(first.subject, adas.subject);
    const strangers = await t.other.tokens(stranger, { resource: t.url });
    assert.equal(strangers.subject, adas.subject);

    const browser = new TestBrowser();
    await t.signIn(ada, "box", browser);
    const adasSession = browser.cookie("localhost", SESSION) ?? "";
    assert.deepEqual(
      [await t.status(browser, "/box"), await t.status(browser, "/other")],
      [200, 401],
    );
    assert.deepEqual(
      [await t.bearer(strangers.access, "/box"), await t.bearer(strangers.access, "/other")],
      [401, 200],
    );

    // In the same browser, by the same subject: another person all the same.
    await t.signIn(stranger, "other", browser);
    const [ended] = await t.gateway.loggedAtLeast("session.ended", 1);
    assert.equal(ended?.["why"], "other-person");
    assert.equal(await t.status(browser, "/other"), 200);
    assert.equal(await t.status(browser, "/box"), 401);
    const thief = new TestBrowser();
    thief.cookies.set("localhost", new Map([[SESSION, adasSession]]));
    assert.equal(await t.status(thief, "/any"), 401);

    const search = new URLSearchParams({ issuer: "box", subject: adas.subject }).toString();
    const revoked = await fetch(`${t.gateway.adminUrl}/revocations?${search}`, {
      method: "POST",
      headers: { authorization: `Bearer ${await t.gateway.adminToken()}` },
    });
    assert.equal(revoked.status, 200, await revoked.text());
    assert.equal(await t.bearer(adas.access, "/any"), 401);
    assert.equal(await t.bearer(strangers.access, "/any"), 200);
    assert.equal(await t.status(browser, "/any"), 200);
  });
});

describe("somebody else's provider", { skip: missingProgram("glewlwyd") }, () => {
  suite(glewlwydProvider);

  test("its logout tokens, of a draft, are taken because the configuration says so and for no other reason", async () => {
    await using t = await setUp(glewlwydProvider, {
      identityOf({ people }) {
        assert.ok(people.kind === "oidc");
        const { logoutTokenTypes, ...rest } = people;
        assert.deepEqual(logoutTokenTypes, ["logout+jwt", "JWT"]);
        return { people: rest };
      },
    });
    const ada = await t.provider.person("ada");
    const browser = await t.signedIn(ada);
    await ada.endSession();
    const [refused] = await t.gateway.loggedAtLeast("revocation.report-refused", 1);
    assert.equal(refused?.["why"], "header");
    assert.equal(await t.status(browser), 200);
  });
});
