// What browser sessions are worth in a browser: its own cookies, its own rules about sites, several tabs, real pages.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { freePort, startChromium, startUpstream } from "@tidegate/testkit";
import { startGateway, type GatewayOptions } from "./http-harness.ts";
import { embeddedProvider, PASSWORD } from "./outside-provider.ts";
import { FLOW, SESSION } from "./session-harness.ts";

const html = (body: string): string =>
  `<!doctype html><meta charset="utf-8"><title>page</title>${body}`;

interface CallInit {
  readonly method?: "POST";
  readonly headers?: Record<string, string>;
  readonly credentials?: "include";
  readonly mode?: "no-cors";
}

async function setUp() {
  await using parts = new AsyncDisposableStack();
  const port = await freePort();
  const url = `http://localhost:${port}`;
  const upstream = parts.use(
    await startUpstream({
      onRequest(_, response) {
        response.setHeader("content-type", "text/html");
        response.end(html("<p>A page of ours"));
      },
    }),
  );
  // Another program on the same machine: another port, and by another name another site.
  const elsewhere = parts.use(
    await startUpstream({
      onRequest(_, response) {
        response.setHeader("content-type", "text/html");
        response.end(
          html(
            `<form method="post" action="${url}/tasks/1"><button name="go">Win</button></form>
            <form method="post" action="${url}/.tidegate/sign-out"><button name="out">Win</button></form>`,
          ),
        );
      },
    }),
  );
  const provider = parts.use(await embeddedProvider(url));
  const config: GatewayOptions = {
    targets: [upstream.url],
    threads: 2,
    listen: { port, publicUrl: url },
    identity: { people: provider.people },
    routes: [
      { path: "/tasks/**", auth: { by: ["people"], scopes: ["tasks:read"] } },
      { path: "/live", auth: { by: ["people"] }, websocket: {} },
      { path: "/", navigable: true },
    ],
  };
  let gateway = await startGateway(config);
  parts.defer(() => gateway[Symbol.asyncDispose]());
  const chromium = parts.use(await startChromium());
  const person = parts.use(await chromium.newPerson());
  const owned = parts.move();
  const inPage = await person.newPage();
  type Page = typeof inPage;
  return {
    url,
    upstream,
    elsewhere,
    provider,
    person,
    page: inPage,
    async signIn(page: Page, login: string, query = "") {
      await page.goto(`${url}/.tidegate/sign-in?returnTo=/${query}`);
      await page.fill("input[name=login]", login);
      await page.fill("input[name=password]", PASSWORD);
      await page.click("button[type=submit]");
      await page.waitForURL(`${url}/`);
    },
    async tab(): Promise<Page> {
      const page = await person.newPage();
      await page.goto(`${url}/`);
      return page;
    },
    /** As a script of that page: the status, or what the browser says in place of an answer. */
    call: (page: Page, path: string, init: CallInit = {}) =>
      page.evaluate(
        async ({ target, options }) => {
          try {
            const answer = await fetch(target, options);
            return `${answer.status} ${await answer.text()}`;
          } catch (error) {
            return String(error);
          }
        },
        { target: `${url}${path}`, options: init },
      ),
    /** Opens a socket in that page, which stays. */
    open: (page: Page) =>
      page.evaluate(
        (target) =>
          new Promise<boolean>((resolve) => {
            const socket = new WebSocket(target);
            const ended = new Promise<string>((tell) =>
              socket.addEventListener("close", ({ code, reason }) => {
                tell(`${code},${reason}`);
                resolve(false);
              }),
            );
            Object.assign(globalThis, { ended });
            socket.addEventListener("open", () => resolve(true));
          }),
        `${url.replace("http", "ws")}/live`,
      ),
    /** How that page's socket ended. */
    ended: (page: Page) =>
      page.evaluate(() => (globalThis as unknown as { ended: Promise<string> }).ended),
    async restart() {
      await gateway.gateway.stop("test");
      gateway = await startGateway({ ...config, dataFolder: gateway.dataFolder });
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const OURS = { "Tidegate-CSRF": "1" };

describe("a browser session in Chromium", () => {
  test("its cookie is the browser's alone; signing out in one tab ends what the other does", async () => {
    await using t = await setUp();
    const ours = async () =>
      (await t.person.cookies(t.url))
        .filter(({ name }) => name.includes("tidegate"))
        .map(({ name, path, domain, httpOnly, secure, sameSite }) => ({
          name,
          path,
          domain,
          httpOnly,
          secure,
          sameSite,
        }));
    const locked = {
      path: "/",
      domain: "localhost",
      httpOnly: true,
      secure: true,
      sameSite: "Lax",
    };
    await t.page.goto(`${t.url}/.tidegate/sign-in`);
    assert.deepEqual(await ours(), [{ name: FLOW, ...locked }]);
    await t.signIn(t.page, "ada");
    // The sign-in that was begun and left is still there.
    assert.deepEqual(
      (await ours()).toSorted((one, other) => one.name.length - other.name.length),
      [
        { name: SESSION, ...locked },
        { name: FLOW, ...locked },
      ],
    );
    assert.doesNotMatch(String(await t.page.evaluate("document.cookie")), /tidegate/);

    const other = await t.tab();
    assert.equal(await t.open(other), true);
    assert.match(await t.call(other, "/tasks/1"), /^200 /);
    assert.match(await t.call(t.page, "/.tidegate/session"), /"signedIn":true/);
    const left = await t.call(t.page, "/.tidegate/sign-out", { method: "POST", headers: OURS });
    assert.match(left, /^200 .*"signedOut":true/);
    assert.equal(await t.ended(other), "4410,session-revoked");
    assert.match(await t.call(other, "/tasks/1"), /^401 /);
    assert.match(await t.call(other, "/.tidegate/session"), /"signedIn":false/);
    // Accepted to be told why: a browser shows pages no status of a handshake.
    await t.open(other);
    assert.match(await t.ended(other), /^4401,credential/);
  });

  test("ends when the person signs out on the provider's page, and when its administrator ends it", async () => {
    await using t = await setUp();
    await t.signIn(t.page, "ada");
    assert.equal(await t.open(t.page), true);
    const account = await t.person.newPage();
    await account.goto(`${t.provider.issuer}/account`);
    await account.getByRole("link", { name: "Sign out" }).click();
    await account.click("button[name=logout]");
    assert.equal(await t.ended(t.page), "4410,session-revoked");
    assert.match(await t.call(t.page, "/tasks/1"), /^401 /);

    await t.signIn(t.page, "grace");
    assert.equal(await t.open(t.page), true);
    await t.provider.administer("/people/grace/end-sessions");
    assert.equal(await t.ended(t.page), "4410,session-revoked");
    assert.match(await t.call(t.page, "/tasks/1"), /^401 /);
  });

  test("pages of other sites and other ports can neither write, nor read, nor listen with it", async () => {
    await using t = await setUp();
    await t.signIn(t.page, "ada");
    const page = await t.person.newPage();
    for (const host of ["localhost", "127.0.0.1"]) {
      const foreign = `http://${host}:${t.elsewhere.port}/`;
      const reached = t.upstream.requests.length;
      for (const button of ["go", "out"]) {
        await page.goto(foreign);
        const [answer] = await Promise.all([
          page.waitForResponse((response) => response.request().method() === "POST"),
          page.click(`button[name=${button}]`),
        ]);
        // Another site's form comes without the cookie (SameSite), another port's comes with it.
        const status = host === "127.0.0.1" && button === "go" ? 401 : 403;
        assert.equal(answer.status(), status, `${host} ${button}`);
        const cookie = (await answer.request().allHeaders())["cookie"] ?? "";
        assert.equal(cookie.includes(SESSION), host === "localhost");
      }
      await page.goto(foreign);
      const credentials = "include";
      const mode = "no-cors";
      assert.match(await t.call(page, "/.tidegate/session", { credentials }), /Failed to fetch/);
      assert.match(await t.call(page, "/tasks/1", { credentials }), /Failed to fetch/);
      assert.equal((await t.call(page, "/tasks/1", { credentials, mode })).trim(), "0");
      const written = { method: "POST", credentials, headers: OURS } as const;
      assert.match(await t.call(page, "/tasks/1", written), /Failed to fetch/);
      assert.equal(await t.open(page), false);
      assert.match(await t.ended(page), /^1006,/);
      assert.equal(t.upstream.requests.length, reached, host);
    }
    assert.match(await t.call(t.page, "/tasks/1"), /^200 /);
  });

  test("survives a restart of the gateway", async () => {
    await using t = await setUp();
    await t.signIn(t.page, "ada");
    assert.equal(await t.open(t.page), true);
    await t.restart();
    assert.match(await t.ended(t.page), /^(?:4512|1006|1012),/);
    assert.match(await t.call(t.page, "/tasks/1"), /^200 /);
    assert.equal(await t.open(t.page), true);
  });

  test("another person in the same browser has a session of their own; the first one's socket ends", async () => {
    await using t = await setUp();
    await t.signIn(t.page, "ada");
    assert.equal(await t.open(t.page), true);
    const tab = await t.person.newPage();
    await t.signIn(tab, "grace", "&prompt=login");
    // Whichever is heard first: the provider's word that the first sign-in is over, or the second person's return.
    assert.match(await t.ended(t.page), /^(?:4403,identity-changed|4410,session-revoked)$/);
    assert.match(await t.call(tab, "/.tidegate/session"), /"name":"[Gg]race/);
    assert.match(await t.call(tab, "/tasks/1"), /^200 /);
  });
});
