// Attacks on sign-in and session, at the real gateway with a provider that is not ours.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { request } from "node:http";
import { once } from "node:events";
import { assertPage, FLOW, SESSION, setUpSessions, untilCallback } from "./session-harness.ts";
import { TestBrowser } from "./test-browser.ts";

const changed = (url: URL, change: (query: URLSearchParams) => void): URL => {
  const copy = new URL(url);
  change(copy.searchParams);
  return copy;
};

describe("sign-in: what comes back is not what was asked for", () => {
  test("a callback that the browser did not begin, or began too long ago, gets a page and no loop", async () => {
    await using t = await setUpSessions();
    const browser = new TestBrowser();
    const none = /cannot be completed here/;
    assertPage(await browser.open(`${t.url}/.tidegate/callback`), 400, none);
    assertPage(await browser.open(`${t.url}/.tidegate/callback?code=a&state=b`), 400, none);
    assertPage(await browser.open(`${t.url}/.tidegate/callback?error=access_denied`), 400, none);
    const callback = await untilCallback(t, browser);
    browser.cookies.get("localhost")?.delete(FLOW);
    assertPage(await browser.open(callback), 400, none);
    browser.cookies.get("localhost")?.set(FLOW, "A".repeat(200));
    assertPage(await browser.open(callback), 400, none);
    assert.equal(t.provider.asked.get("/token"), undefined);
  });

  test("two browsers that are swapped sign nobody in (login cross-site request forgery)", async () => {
    await using t = await setUpSessions();
    const attacker = new TestBrowser();
    const victim = new TestBrowser();
    const callback = await untilCallback(t, attacker, { as: "mallory" });
    await untilCallback(t, victim);
    assertPage(await victim.open(callback), 400, /cannot be completed here/);
    assert.equal(victim.cookie("localhost", SESSION), undefined);
    assert.equal(t.provider.asked.get("/token"), undefined);
  });

  test("state, iss and code that were changed, doubled or left out are refused", async () => {
    await using t = await setUpSessions();
    const attempts: [string, (query: URLSearchParams) => void, number][] = [
      ["no state", (query) => query.delete("state"), 400],
      ["another state", (query) => query.set("state", "x".repeat(43)), 400],
      ["two states", (query) => query.append("state", query.get("state") ?? ""), 400],
      ["no iss", (query) => query.delete("iss"), 400],
      ["another iss", (query) => query.set("iss", "https://attacker.example"), 400],
      ["iss with a slash", (query) => query.set("iss", `${query.get("iss")}/`), 400],
      ["two iss", (query) => query.append("iss", "https://attacker.example"), 400],
      ["another code", (query) => query.set("code", "x".repeat(43)), 403],
      ["two codes", (query) => query.append("code", "x"), 400],
      ["an ID token", (query) => query.set("id_token", "a.b.c"), 400],
      ["a JARM answer", (query) => query.set("response", "a.b.c"), 400],
    ];
    for (const [what, change, status] of attempts) {
      const browser = new TestBrowser();
      const callback = await untilCallback(t, browser);
      const answer = await browser.open(changed(callback, change));
      assertPage(answer, status, /<h1>/);
      assert.equal(browser.cookie("localhost", SESSION), undefined, what);
    }
  });

  test("a code injected from another flow of the same browser is refused by its PKCE challenge", async () => {
    await using t = await setUpSessions();
    const browser = new TestBrowser();
    const first = await untilCallback(t, browser);
    const second = await untilCallback(t, browser);
    const injected = changed(second, (query) =>
      query.set("code", first.searchParams.get("code") ?? ""),
    );
    assertPage(await browser.open(injected), 403, /not signed in/);
    assert.equal(browser.cookie("localhost", SESSION), undefined);
  });

  test("an ID token with another nonce, audience, issuer or signature is refused", async () => {
    await using t = await setUpSessions();
    const claims: Record<string, unknown>[] = [
      { nonce: "x".repeat(43) },
      { nonce: undefined },
      { aud: "somebody-else" },
      { iss: "https://attacker.example" },
      { exp: 1 },
      { sub: "mallory" },
    ];
    for (const claim of claims) {
      t.provider.tamper = (path, body) => {
        if (path !== "/token") return body;
        const tokens = JSON.parse(body) as Record<string, string>;
        const [header, payload = "", signature] = (tokens["id_token"] ?? "").split(".");
        const old = JSON.parse(Buffer.from(payload, "base64url").toString()) as object;
        const forged = Buffer.from(JSON.stringify({ ...old, ...claim })).toString("base64url");
        return JSON.stringify({ ...tokens, id_token: `${header}.${forged}.${signature}` });
      };
      const browser = new TestBrowser();
      const callback = await untilCallback(t, browser);
      assertPage(await browser.open(callback), 400, /does not fit/);
    }
  });

  test("a callback works once, though an old copy of the cookie comes again", async () => {
    await using t = await setUpSessions({ threads: 2 });
    const browser = new TestBrowser();
    const callback = await untilCallback(t, browser);
    const copy = browser.cookie("localhost", FLOW) ?? "";
    assert.equal((await browser.open(callback)).status, 303);
    const tokenRequests = t.provider.asked.get("/token");
    for (let tries = 0; tries < 6; tries++) {
      const other = new TestBrowser();
      other.cookies.set("localhost", new Map([[FLOW, copy]]));
      assertPage(await other.open(callback), 400, /completed before/);
    }
    assert.equal(t.provider.asked.get("/token"), tokenRequests);
    assert.equal((await t.call(browser, "/tasks/1")).status, 200);
  });

  test("what the provider says about an error is told in our words, and nothing of it is markup", async () => {
    await using t = await setUpSessions();
    const browser = new TestBrowser();
    const callback = await untilCallback(t, browser, { as: "nobody" });
    assert.equal(callback.searchParams.get("error"), "access_denied");
    const answer = await browser.open(callback);
    assertPage(answer, 403, /You were not signed in/);
    assert.doesNotMatch(answer.body, /alert/);
    const failed = await t.gateway.loggedAtLeast("sign-in.failed", 1);
    assert.equal(failed[0]?.["page"], "provider-refused");
  });

  test("a provider that is down gets a page with a way to try again", async () => {
    await using t = await setUpSessions();
    t.provider.outages.set("/.well-known/openid-configuration", 503);
    const browser = new TestBrowser();
    const answer = await browser.open(`${t.url}/.tidegate/sign-in`);
    assertPage(answer, 503, /cannot be reached/);
    assert.equal(answer.headers["retry-after"], "5");
  });
});

describe("session cookie", () => {
  test("fixation: a session that was there before never becomes the victim's", async () => {
    await using t = await setUpSessions({ threads: 2 });
    const attacker = await t.signedIn("mallory");
    const planted = attacker.cookie("localhost", SESSION) ?? "";
    const victim = new TestBrowser();
    victim.cookies.set("localhost", new Map([[SESSION, planted]]));
    await t.signedIn("ada", victim);
    assert.notEqual(victim.cookie("localhost", SESSION), planted);
    assert.equal((await t.session(victim))["name"], "Name of ada");
    // The planted one is over: it was in somebody else's hands.
    for (let calls = 0; calls < 6; calls++)
      assert.equal((await t.call(attacker, "/tasks/1")).status, 401);
    const made = new TestBrowser();
    made.cookies.set("localhost", new Map([[SESSION, "A".repeat(43)]]));
    await t.signedIn("ada", made);
    assert.notEqual(made.cookie("localhost", SESSION), "A".repeat(43));
  });

  test("is written so that no other host and no script has it, and never shows a token", async () => {
    await using t = await setUpSessions();
    const secrets: string[] = [];
    t.provider.tamper = (path, body) => {
      if (path === "/token") {
        const tokens = JSON.parse(body) as Record<string, string>;
        for (const name of ["access_token", "refresh_token", "id_token"])
          secrets.push(tokens[name] ?? "");
      }
      return body;
    };
    const browser = new TestBrowser();
    const begun = await browser.open(`${t.url}/.tidegate/sign-in`);
    const attributes = /; Path=\/; Max-Age=\d+; Secure; HttpOnly; SameSite=Lax$/;
    const callback = await untilCallback(t, browser);
    const done = await browser.open(callback);
    for (const answer of [begun, done])
      for (const line of answer.headers["set-cookie"] ?? []) assert.match(line, attributes);
    assert.equal(secrets.length, 3);
    const shown = await t.call(browser, "/.tidegate/session");
    await t.call(browser, "/tasks/1");
    const seen = t.upstream.requests.map(({ fields }) => fields.flat().join("\n")).join("\n");
    const lines = await t.gateway.loggedAtLeast("session.began", 1);
    const log = JSON.stringify([...lines, ...(await t.gateway.loggedAtLeast("request", 5))]);
    const code = callback.searchParams.get("code") ?? "";
    const state = callback.searchParams.get("state") ?? "";
    const cookie = browser.cookie("localhost", SESSION) ?? "";
    for (const secret of [...secrets, code, state, cookie]) {
      assert.ok(secret.length > 20);
      for (const place of [shown.body, done.body, seen, log]) assert.ok(!place.includes(secret));
    }
  });

  test("doubled, or beside another credential, is ambiguous", async () => {
    await using t = await setUpSessions();
    const browser = await t.signedIn("ada");
    const secret = browser.cookie("localhost", SESSION) ?? "";
    const ask = async (cookie: string, headers: Record<string, string> = {}): Promise<number> => {
      const asked = request({
        host: "127.0.0.1",
        port: t.gateway.port,
        path: "/tasks/1",
        headers: { host: new URL(t.url).host, cookie, ...headers },
      });
      asked.end();
      const [answer] = (await once(asked, "response")) as [{ statusCode: number; resume(): void }];
      answer.resume();
      return answer.statusCode;
    };
    assert.equal(await ask(`${SESSION}=${secret}`), 200);
    assert.equal(await ask(`${SESSION}=${secret}; ${SESSION}=${"A".repeat(43)}`), 400);
    assert.equal(await ask(`${SESSION}=${secret}; ${SESSION}=${secret}`), 400);
    assert.equal(await ask(`${SESSION}=${secret}`, { authorization: "Bearer a.b.c" }), 400);
    for (const near of [
      `__host-tidegate=${secret}`,
      `x${SESSION}=${secret}`,
      `=${SESSION}=${secret}`,
    ])
      assert.equal(await ask(near), 401, near);
    for (const bad of ["", "x", `${secret}=`, `${secret} `, secret.slice(1), `"${secret}"`])
      assert.ok([401, 200].includes(await ask(`${SESSION}=${bad}`)), bad);
    assert.equal(await ask(`${SESSION}=${secret.slice(1)}`), 401);
    assert.equal(await ask(`${SESSION}="${secret}"`), 401);
  });
});

describe("other sites, with a session", () => {
  test("forms and scripts of other sites and ports reach nothing", async () => {
    await using t = await setUpSessions();
    const browser = await t.signedIn("ada");
    const before = t.upstream.requests.length;
    const foreign = ["https://attacker.example", `http://localhost:${t.provider.url.split(":").at(-1)}`, "null"]; // prettier-ignore
    for (const origin of foreign) {
      const site = origin.startsWith("http://localhost") ? "same-site" : "cross-site";
      const form = { "content-type": "application/x-www-form-urlencoded", origin };
      const options = { method: "POST", site, headers: form, body: "a=b" } as const;
      assert.equal((await browser.open(`${t.url}/tasks/1`, options)).status, 403, origin);
      const out = await browser.open(`${t.url}/.tidegate/sign-out`, options);
      assert.equal(out.status, 403, origin);
      assert.equal(out.headers["set-cookie"], undefined);
      const read = { isNavigation: false, site, headers: { origin } } as const;
      assert.equal((await browser.open(`${t.url}/tasks/1`, read)).status, 403, origin);
      assert.equal((await browser.open(`${t.url}/.tidegate/session`, read)).status, 403, origin);
      const link = await browser.open(`${t.url}/tasks/1`, { site });
      assert.equal(link.status, 403, origin);
    }
    assert.equal(t.upstream.requests.length, before);
    // A route that is meant to be linked to, and our own page.
    assert.equal((await browser.open(`${t.url}/page`, { site: "cross-site" })).status, 200);
    assert.equal((await t.call(browser, "/tasks/1", { method: "POST" })).status, 200);
  });

  test("unsafe calls need an Origin of ours and the field that forms cannot send", async () => {
    await using t = await setUpSessions();
    const browser = await t.signedIn("ada");
    const post = async (headers: Record<string, string>): Promise<number> =>
      (
        await browser.open(`${t.url}/tasks/1`, {
          method: "POST",
          isNavigation: false,
          site: "same-origin",
          headers,
        })
      ).status;
    assert.equal(await post({ origin: t.url }), 403);
    assert.equal(await post({ "tidegate-csrf": "1" }), 403);
    assert.equal(await post({ origin: t.url, "tidegate-csrf": "0" }), 403);
    assert.equal(await post({ origin: `${t.url}/`, "tidegate-csrf": "1" }), 403);
    assert.equal(await post({ origin: t.url, "tidegate-csrf": "1" }), 200);
  });

  test("sign-out and its cookies are for our own pages, with or without a session", async () => {
    await using t = await setUpSessions();
    // SameSite keeps the cookie away from this form; the answer must not remove it either.
    const bare = new TestBrowser();
    const form = { "content-type": "application/x-www-form-urlencoded" };
    for (const headers of [
      { ...form, origin: "https://attacker.example" },
      { ...form, origin: "null" },
      form,
      { ...form, origin: t.url },
    ]) {
      const answer = await bare.open(`${t.url}/.tidegate/sign-out`, {
        method: "POST",
        site: "cross-site",
        headers,
        body: "",
      });
      assert.equal(answer.status, 403);
      assert.equal(answer.headers["set-cookie"], undefined);
    }
    assert.equal((await bare.open(`${t.url}/.tidegate/sign-out`)).status, 405);
    const browser = await t.signedIn("ada");
    const own = await browser.open(`${t.url}/.tidegate/sign-out`, {
      method: "POST",
      site: "same-origin",
      headers: { ...form, origin: t.url },
      body: "",
    });
    assert.equal(own.status, 303);
    assert.ok(own.location !== undefined);
    const last = await browser.go(own.location);
    const submitted = /name="xsrf" value="(\w+)"/.exec(last.body)?.[1];
    assert.ok(submitted !== undefined, last.body);
    const confirmed = await browser.open(`${t.provider.url}/session/end/confirm`, {
      method: "POST",
      headers: form,
      body: `xsrf=${submitted}&logout=yes`,
    });
    assert.equal(confirmed.location?.href, `${t.url}/.tidegate/signed-out`);
    assertPage(await browser.open(confirmed.location ?? ""), 200, /You are signed out/);
    assert.equal(t.provider.asked.get("/token/revocation"), 1);
  });

  test("sign-in is for whole pages: frames, images and scripts cannot begin one", async () => {
    await using t = await setUpSessions();
    const browser = new TestBrowser();
    for (const headers of [
      { "sec-fetch-dest": "iframe" },
      { "sec-fetch-dest": "image", "sec-fetch-mode": "no-cors" },
      { "sec-fetch-dest": "empty", "sec-fetch-mode": "cors" },
    ] as Record<string, string>[]) {
      const answer = await browser.open(`${t.url}/.tidegate/sign-in`, {
        site: "cross-site",
        headers,
      });
      assert.equal(answer.status, 403);
      assert.equal(answer.headers["set-cookie"], undefined);
    }
  });

  test("a handshake with the cookie needs an Origin of ours", async () => {
    await using t = await setUpSessions();
    const browser = await t.signedIn("ada");
    const cookie = `${SESSION}=${browser.cookie("localhost", SESSION)}`;
    const status = async (headers: readonly string[]): Promise<number> =>
      (
        await t.gateway.ask(
          `${[
            "GET /live HTTP/1.1",
            `Host: ${new URL(t.url).host}`,
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            `Cookie: ${cookie}`,
            ...headers,
          ].join("\r\n")}\r\n\r\n`,
        )
      ).status;
    assert.equal(await status([]), 403);
    assert.equal(await status(["Origin: null"]), 403);
    assert.equal(await status([`Origin: http://localhost:${t.gateway.port + 1}`]), 403);
    assert.equal(await status(["Origin: https://attacker.example"]), 403);
    assert.equal(await status([`Origin: ${t.url}`]), 101);
  });
});
