import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PASSWORD, startIdentityUnderTest } from "./identity-under-test.ts";

const sessionOf = (browser: {
  cookies: ReadonlyMap<string, { value: string }>;
}): string | undefined => browser.cookies.get("__Host-identity-session;/")?.value;

describe("every answer", () => {
  test("carries the fields that keep it from being framed, sniffed, cached or scripted", async () => {
    await using identity = await startIdentityUnderTest();
    const party = await identity.relyingParty();
    const browser = identity.browser();
    const { url } = await party.begin();
    const page = new URL((await browser.open(url)).url).pathname;
    const paths = [
      url,
      page,
      "/sign-in",
      "/register",
      "/reset",
      "/sign-out",
      "/sign-out/success",
      "/account",
      "/nothing",
      "/authorize",
      "/authorize?client_id=nobody",
      "/authorize/unknown",
      "/consent/unknown",
      "/sign-in/unknown",
      "/jwks",
      "/.well-known/openid-configuration",
      "/userinfo",
      "/healthz",
    ];
    for (const path of paths) {
      const answer = await browser.request(path);
      const text = await answer.text();
      const field = (name: string): string => answer.headers.get(name) ?? "";
      assert.equal(field("x-content-type-options"), "nosniff", path);
      assert.equal(field("x-frame-options"), "DENY", path);
      assert.equal(field("referrer-policy"), "same-origin", path);
      if (field("content-type").startsWith("text/html")) {
        const policy = field("content-security-policy");
        assert.match(policy, /default-src 'none'/, path);
        assert.match(policy, /frame-ancestors 'none'/, path);
        assert.match(policy, /base-uri 'none'/, path);
        assert.equal(/script-src|unsafe/.test(policy), false, path);
        assert.equal(field("cache-control"), "no-store", path);
        assert.equal(/<script|javascript:| on[a-z]+=|style="/i.test(text), false, path);
      }
    }
  });

  test("sets cookies of names that no other host can set, signed, for no script and no other site", async () => {
    await using identity = await startIdentityUnderTest();
    const party = await identity.relyingParty();
    const browser = identity.browser();
    const lines: string[] = [];
    const first = await browser.request((await party.begin()).url);
    lines.push(...first.headers.getSetCookie());
    const page = await browser.open(first.headers.get("location") ?? "");
    const formToken = /name="formToken" value="([^"]*)"/.exec(page.text)?.[1] ?? "";
    const answer = await browser.request(page.url, {
      method: "POST",
      headers: { origin: identity.issuer, "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams({ formToken, login: "ada", password: PASSWORD }).toString(),
    });
    const resumed = await browser.request(answer.headers.get("location") ?? "");
    lines.push(...answer.headers.getSetCookie(), ...resumed.headers.getSetCookie());
    const set = lines.filter((line) => !line.includes("01 Jan 1970"));
    const names = new Set(set.map((line) => line.split("=", 1)[0]));
    for (const name of [
      "__Host-identity-session",
      "__Host-identity-session.sig",
      "__Secure-identity-flow",
      "__Secure-identity-flow.sig",
      "__Secure-identity-resume",
    ]) {
      assert.ok(names.has(name), `${name} is not set: ${[...names].join(" ")}`);
    }
    for (const line of set) {
      assert.match(line, /;\s*httponly/i, line);
      assert.match(line, /;\s*secure/i, line);
      assert.match(line, /;\s*samesite=lax/i, line);
      assert.equal(/;\s*domain=/i.test(line), false, line);
      if (line.startsWith("__Host-")) assert.match(line, /;\s*path=\/(;|$)/i, line);
    }
  });
});

describe("session fixation", () => {
  test("an id that was there before the sign-in opens nothing after it, at a client's request or the account", async () => {
    await using identity = await startIdentityUnderTest();
    const party = await identity.relyingParty();
    const browser = identity.browser();
    // An attacker's own session, planted in the victim's browser with its valid signature.
    const attacker = identity.browser();
    await party.signIn(attacker, { login: "grace" });
    for (const [key, { value }] of attacker.cookies) {
      const [name = "", path] = key.split(";");
      if (name.startsWith("__Host-identity-session")) browser.setCookie(name, value, path);
    }
    const planted = sessionOf(browser);
    assert.ok(planted);
    const request = await party.begin({ prompt: "login" });
    await browser.open(request.url);
    const shown = await browser.submit({ login: "ada", password: PASSWORD });
    assert.equal((await request.redeem(shown.url)).claims()?.sub, identity.adaId);
    assert.notEqual(sessionOf(browser), planted);
    assert.match((await attacker.open((await party.begin()).url)).text, /name="password"/);

    const before = sessionOf(browser);
    const again = await party.begin({ prompt: "login" });
    await browser.open(again.url);
    await browser.submit({ login: "ada", password: PASSWORD });
    assert.notEqual(sessionOf(browser), before, "a new proof is a new id");

    const account = identity.browser();
    account.setCookie("__Host-identity-session", "an-id-made-up-by-somebody-else");
    await account.open("/sign-in");
    await account.submit({ login: "ada", password: PASSWORD });
    assert.notEqual(sessionOf(account), "an-id-made-up-by-somebody-else");
    assert.equal((await account.open("/account")).status, 200);
  });

  test("a session cookie without its signature, or with another's, is nobody's", async () => {
    await using identity = await startIdentityUnderTest();
    const party = await identity.relyingParty();
    const browser = identity.browser();
    await party.signIn(browser);
    for (const signature of ["", "x".repeat(27)]) {
      const thief = browser.copy();
      thief.setCookie("__Host-identity-session.sig", signature);
      assert.match((await thief.open((await party.begin()).url)).text, /name="password"/);
      assert.match((await thief.open("/account")).text, /name="password"/);
    }
  });
});

describe("a waiting sign-in", () => {
  test("answers to the browser that began it, and to no other", async () => {
    await using identity = await startIdentityUnderTest();
    const party = await identity.relyingParty();
    const page = await identity.browser().open((await party.begin()).url);
    const victim = identity.browser();
    const opened = await victim.open(page.url);
    assert.equal(opened.status, 400);
    assert.equal(/name="password"/.test(opened.text), false);
    const cancelled = await victim.request(`${new URL(page.url).pathname}/cancel`);
    assert.equal(cancelled.status, 400);
  });

  test("takes no form from another origin, no form without its token, and is over after 15 minutes", async (context) => {
    await using identity = await startIdentityUnderTest();
    const party = await identity.relyingParty();
    const browser = identity.browser();
    const page = await browser.open((await party.begin()).url);
    const formToken = /name="formToken" value="([^"]*)"/.exec(page.text)?.[1] ?? "";
    const send = async (origin: string | undefined, token: string): Promise<number> => {
      const answer = await browser.request(page.url, {
        method: "POST",
        headers: {
          "content-type": "application/x-www-form-urlencoded",
          ...(origin !== undefined && { origin }),
        },
        body: new URLSearchParams({
          formToken: token,
          login: "ada",
          password: PASSWORD,
        }).toString(),
      });
      await answer.body?.cancel();
      return answer.status;
    };
    for (const origin of ["https://evil.example", "http://localhost:1", "null", undefined]) {
      assert.equal(await send(origin, formToken), 403, String(origin));
    }
    assert.equal(await send(identity.issuer, "another"), 403);
    const { mock } = await import("node:test");
    mock.timers.enable({ apis: ["Date"], now: Date.now() + 901_000 });
    context.after(() => mock.timers.reset());
    assert.equal(await send(identity.issuer, formToken), 400);
  });

  test("can be given up: the client is told, with who told it", async () => {
    await using identity = await startIdentityUnderTest();
    const party = await identity.relyingParty();
    const browser = identity.browser();
    const page = await browser.open((await party.begin()).url);
    const shown = await browser.open(`${new URL(page.url).pathname}/cancel`);
    const { searchParams } = new URL(shown.url);
    assert.equal(searchParams.get("error"), "access_denied");
    assert.equal(searchParams.get("iss"), identity.issuer);
    assert.ok(searchParams.get("state"));
  });
});

describe("consent", () => {
  test("is asked for once, shows who asks and for what, as text, and is remembered", async () => {
    await using identity = await startIdentityUnderTest();
    const party = await identity.relyingParty("stranger");
    const browser = identity.browser();
    const request = await party.begin();
    await browser.open(request.url);
    const page = await browser.submit({ login: "ada", password: PASSWORD });
    assert.equal(page.status, 200);
    assert.match(page.text, /Stranger &amp; Sons/);
    assert.match(page.text, /see your tasks/);
    assert.match(page.text, /see your e-mail address/);
    assert.match(
      page.headers.get("content-security-policy") ?? "",
      /form-action 'self' http:\/\/127\.0\.0\.1:9/,
    );
    const shown = await browser.submit({ decision: "allow" });
    assert.ok((await request.redeem(shown.url)).access_token);
    const other = identity.browser();
    const again = await party.signIn(other);
    assert.ok(again.access_token, "allowed once, asked once");
    const more = await party.begin({ scope: "openid tasks:read tasks:write" });
    assert.match((await other.open(more.url)).text, /tasks:write/);
  });

  test("that is refused gives the client nothing", async () => {
    await using identity = await startIdentityUnderTest();
    const party = await identity.relyingParty("stranger");
    const browser = identity.browser();
    await browser.open((await party.begin()).url);
    await browser.submit({ login: "ada", password: PASSWORD });
    const shown = await browser.submit({ decision: "deny" });
    assert.equal(new URL(shown.url).searchParams.get("error"), "access_denied");
    const silent = await browser.open((await party.begin({ prompt: "none" })).url);
    assert.equal(new URL(silent.url).searchParams.get("error"), "consent_required");
  });

  test("covers claims that are asked for by name: no scope brings them along unseen", async () => {
    await using identity = await startIdentityUnderTest();
    const party = await identity.relyingParty("stranger");
    const browser = identity.browser();
    const first = await party.begin({ scope: "openid" });
    await browser.open(first.url);
    await browser.submit({ login: "ada", password: PASSWORD });
    await first.redeem((await browser.submit({ decision: "allow" })).url);
    const claims = JSON.stringify({ id_token: { email: null } });
    const sneaky = await browser.open((await party.begin({ scope: "openid", claims })).url);
    assert.equal(sneaky.isForeign, false);
    assert.match(sneaky.text, /see your e-mail address/);
  });
});
