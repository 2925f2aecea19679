// Several providers at once: an answer of one must never be taken for another's (RFC 9700 §4.4, mix-up).

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { freePort, startUpstream } from "@tidegate/testkit";
import { startGateway } from "./http-harness.ts";
import { openProvider, RESOURCE, type OpenProvider } from "./open-provider.ts";
import { SESSION } from "./session-harness.ts";
import { TestBrowser } from "./test-browser.ts";

const SECRET = "a secret of at least thirty-two characters";

/** `honest` names itself in its answers; `quiet` does not, and has a callback of its own; `unsafe` has none. */
async function setUp() {
  await using parts = new AsyncDisposableStack();
  const upstream = parts.use(await startUpstream());
  const port = await freePort();
  const url = `http://localhost:${port}`;
  const signedOutUri = `${url}/.tidegate/signed-out`;
  const shared = `${url}/.tidegate/callback`;
  const open = async (redirectUri: string, namesItself: boolean): Promise<OpenProvider> =>
    parts.use(await openProvider({ redirectUris: [redirectUri], signedOutUri, namesItself }));
  const honest = await open(shared, true);
  const second = await open(shared, true);
  const quiet = await open(`${shared}/quiet`, false);
  const unsafe = await open(shared, false);
  const provider = ({ url: issuer }: OpenProvider, label: string, ownCallback = false) => ({
    kind: "oidc" as const,
    issuer,
    audience: RESOURCE,
    client: { id: "gateway", secret: SECRET },
    browser: { scopes: ["openid", "tasks:read"], label, ownCallback },
  });
  const gateway = parts.use(
    await startGateway({
      targets: [upstream.url],
      listen: { port, publicUrl: url },
      identity: {
        honest: provider(honest, "The honest one"),
        second: provider(second, "A second <one>"),
        quiet: provider(quiet, "The quiet one", true),
        unsafe: provider(unsafe, "The unsafe one"),
      },
      routes: [
        { path: "/honest", auth: { by: ["honest"] }, navigable: true },
        { path: "/any", auth: { by: ["honest", "second", "quiet"] }, navigable: true },
      ],
    }),
  );
  const owned = parts.move();
  const untilCallback = async (browser: TestBrowser, name: string): Promise<URL> => {
    const start = `${url}/.tidegate/sign-in?provider=${name}&returnTo=/any`;
    const stops = ({ pathname }: URL): boolean => pathname.startsWith("/.tidegate/callback");
    const { location, body } = await browser.go(start, { as: "ada", stops });
    assert.ok(location !== undefined, body);
    return location;
  };
  return {
    url,
    honest,
    second,
    quiet,
    gateway,
    untilCallback,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

describe("several providers", () => {
  test("an answer of one is not taken for another's, wherever it comes and whatever it says", async () => {
    await using t = await setUp();
    const attempts: [what: string, name: string, change: (url: URL) => void][] = [
      ["another's name", "honest", (url) => url.searchParams.set("iss", t.second.url)],
      ["no name", "honest", (url) => url.searchParams.delete("iss")],
      ["another's callback", "honest", (url) => (url.pathname = "/.tidegate/callback/quiet")],
      [
        "own callback of who shares",
        "honest",
        (url) => (url.pathname = "/.tidegate/callback/honest"),
      ],
      ["the shared callback", "quiet", (url) => (url.pathname = "/.tidegate/callback")],
      ["nobody's callback", "quiet", (url) => (url.pathname = "/.tidegate/callback/nobody")],
      ["a deeper path", "quiet", (url) => (url.pathname = "/.tidegate/callback/quiet/x")],
    ];
    for (const [what, name, change] of attempts) {
      const browser = new TestBrowser();
      const callback = await t.untilCallback(browser, name);
      const asked = [t.honest, t.second, t.quiet].map((one) => one.asked.get("/token"));
      change(callback);
      const answer = await browser.open(callback);
      assert.equal(answer.status, 400, what);
      assert.match(answer.body, /does not fit/);
      assert.equal(browser.cookie("localhost", SESSION), undefined);
      // The code went to nobody: at another provider it would be in the attacker's hands.
      assert.deepEqual([t.honest, t.second, t.quiet].map((one) => one.asked.get("/token")), asked); // prettier-ignore
    }
  });

  test("each signs people in, who are let in where it may vouch and nowhere else", async () => {
    await using t = await setUp();
    for (const [name, status] of [
      ["honest", 200],
      ["second", 401],
      ["quiet", 401],
    ] as const) {
      // prettier-ignore
      const browser = new TestBrowser();
      const callback = await t.untilCallback(browser, name);
      const answer = await browser.open(callback);
      assert.equal(answer.status, 303, answer.body);
      assert.equal((await browser.open(`${t.url}/any`)).status, 200, name);
      assert.equal((await browser.open(`${t.url}/honest`)).status, status, name);
    }
  });

  test("one that neither names itself nor has a callback of its own is not used", async () => {
    await using t = await setUp();
    const answer = await new TestBrowser().open(`${t.url}/.tidegate/sign-in?provider=unsafe`);
    assert.equal(answer.status, 500);
    assert.equal(answer.location, undefined);
    const [failed] = await t.gateway.loggedAtLeast("sign-in.failed", 1);
    assert.match(String(failed?.["why"]), /ownCallback/);
  });

  test("people choose among them, and who is in none is told so", async () => {
    await using t = await setUp();
    const browser = new TestBrowser();
    const page = await browser.open(`${t.url}/.tidegate/sign-in?returnTo=/any`);
    assert.equal(page.status, 200);
    assert.match(page.body, /href="\/\.tidegate\/sign-in\?returnTo=%2Fany&amp;provider=honest"/);
    assert.match(page.body, /A second &lt;one&gt;/);
    const unknown = await browser.open(`${t.url}/.tidegate/sign-in?provider=__proto__`);
    assert.equal(unknown.status, 404);
  });

  test("the same subject at two providers is two people: one signs the other out of the browser", async () => {
    await using t = await setUp();
    const browser = new TestBrowser();
    await browser.open(await t.untilCallback(browser, "honest"));
    const first = browser.cookie("localhost", SESSION);
    await browser.open(await t.untilCallback(browser, "second"));
    const ended = await t.gateway.loggedAtLeast("session.ended", 1);
    assert.equal(ended[0]?.["why"], "other-person");
    browser.cookies.get("localhost")?.set(SESSION, first ?? "");
    assert.equal((await browser.open(`${t.url}/any`)).status, 401);
  });
});
