import assert from "node:assert/strict";
import { describe, mock, test } from "node:test";
import { sql } from "kysely";
import { PASSWORD_LEVEL } from "../src/provider/levels.ts";
import { PASSWORD, startIdentityUnderTest, type IdentityUnderTest } from "./identity-under-test.ts";

const PWD = "urn:tidegate:acr:pwd";
const PHR = "phr";

async function signedIn(identity: IdentityUnderTest) {
  const party = await identity.relyingParty();
  const browser = identity.browser();
  const tokens = await party.signIn(browser);
  return { party, browser, tokens };
}

const errorOf = (url: string): string | null => new URL(url).searchParams.get("error");

describe("a demanded level", () => {
  test("that nobody can reach is refused at once, never asked for again and again", async () => {
    await using identity = await startIdentityUnderTest();
    const { party, browser } = await signedIn(identity);
    const essential = (acr: object): string =>
      JSON.stringify({ id_token: { acr: { essential: true, ...acr } } });
    for (const parameters of [
      { acr_values: PHR },
      { acr_values: `${PHR} phrh` },
      { claims: essential({ value: PHR }) },
      { claims: essential({ values: [PHR, "phrh"] }) },
      // What is essential is not softened by a longer list beside it.
      { claims: essential({ value: PHR }), acr_values: PWD },
    ]) {
      for (const who of [browser, identity.browser()]) {
        const shown = await who.open((await party.begin(parameters)).url);
        assert.equal(shown.isForeign, true, JSON.stringify(parameters));
        assert.equal(errorOf(shown.url), "unmet_authentication_requirements");
      }
    }
    const odd = await browser.open((await party.begin({ claims: essential({ values: PHR }) })).url);
    assert.equal(errorOf(odd.url), "invalid_request");
  });

  test("that the session has is answered without a question; one of several is enough", async () => {
    await using identity = await startIdentityUnderTest();
    const { party, browser } = await signedIn(identity);
    for (const acr_values of [PWD, `${PHR} ${PWD}`]) {
      const request = await party.begin({ acr_values });
      const shown = await browser.open(request.url);
      assert.equal((await request.redeem(shown.url)).claims()?.["acr"], PWD);
    }
    const request = await party.begin({
      claims: JSON.stringify({ id_token: { acr: { value: PHR } } }),
    });
    const shown = await browser.open(request.url);
    assert.equal((await request.redeem(shown.url)).claims()?.["acr"], PWD, "a wish is no demand");
  });
});

describe("a stronger level", () => {
  const levels = [
    PASSWORD_LEVEL,
    { acr: PHR, amr: ["hwk", "user", "mfa"], forgottenAfterSeconds: 300 },
  ];

  test("that this page cannot give ends in an error after one try, not in the same page again", async () => {
    await using identity = await startIdentityUnderTest({ levels });
    const { party, browser } = await signedIn(identity);
    for (const who of [browser, identity.browser()]) {
      const page = await who.open((await party.begin({ acr_values: PHR })).url);
      assert.match(page.text, /name="password"/);
      const shown = await who.submit({ login: "ada", password: PASSWORD });
      assert.equal(shown.isForeign, true);
      assert.equal(errorOf(shown.url), "unmet_authentication_requirements");
    }
    const silent = await browser.open((await party.begin({ acr_values: PHR, prompt: "none" })).url);
    assert.equal(errorOf(silent.url), "unmet_authentication_requirements");
  });

  test("is forgotten after its time: later tokens say the lower one, and it is asked for again", async (context) => {
    await using identity = await startIdentityUnderTest({ levels });
    const { party, browser } = await signedIn(identity);
    // As if a second step had been taken now.
    await identity.server.provider.artifacts.queries
      .updateTable("artifacts")
      .set({ payload: sql<string>`json_set(payload, '$.acr', ${PHR})` })
      .where("kind", "=", "Session")
      .execute();
    const high = await party.begin({ acr_values: PHR });
    const claims = (await high.redeem((await browser.open(high.url)).url)).claims();
    assert.equal(claims?.["acr"], PHR);
    mock.timers.enable({ apis: ["Date"], now: Date.now() + 301_000 });
    context.after(() => mock.timers.reset());
    const plain = await party.begin();
    const later = (await plain.redeem((await browser.open(plain.url)).url)).claims();
    assert.equal(later?.["acr"], PWD);
    assert.deepEqual(later?.["amr"], ["pwd"]);
    const again = await browser.open((await party.begin({ acr_values: PHR })).url);
    assert.match(again.text, /name="password"/);
  });
});

describe("max_age and prompt", () => {
  test("ask a person who signed in too long ago, once, and tell the new time", async (context) => {
    await using identity = await startIdentityUnderTest();
    const { party, browser, tokens } = await signedIn(identity);
    mock.timers.enable({ apis: ["Date"], now: Date.now() + 120_000 });
    context.after(() => mock.timers.reset());
    const request = await party.begin({ max_age: "60" });
    let shown = await browser.open(request.url);
    assert.match(shown.text, /Confirm that it is you/);
    shown = await browser.submit({ login: "ada", password: PASSWORD });
    const fresh = (await request.redeem(shown.url)).claims();
    assert.ok(Number(fresh?.["auth_time"]) >= Number(tokens.claims()?.["auth_time"]) + 120);
    assert.equal(fresh?.["sid"], tokens.claims()?.["sid"], "it is the same session");
    const again = await party.begin({ max_age: "60" });
    assert.equal((await browser.open(again.url)).isForeign, true);
  });

  test("prompt=login asks even in the same second, prompt=none never asks", async () => {
    await using identity = await startIdentityUnderTest();
    const { party, browser } = await signedIn(identity);
    const shown = await browser.open((await party.begin({ prompt: "login", max_age: "0" })).url);
    assert.match(shown.text, /Confirm that it is you/);
    const silent = await party.begin({ prompt: "none" });
    const answer = await browser.open(silent.url);
    assert.ok((await silent.redeem(answer.url)).access_token);
    const nobody = await identity.browser().open((await party.begin({ prompt: "none" })).url);
    assert.equal(errorOf(nobody.url), "login_required");
  });

  test("a wrong password leads back to the form with what was typed, and the answer is still open", async () => {
    await using identity = await startIdentityUnderTest();
    const party = await identity.relyingParty();
    const browser = identity.browser();
    const request = await party.begin({ login_hint: "grace" });
    let shown = await browser.open(request.url);
    assert.match(shown.text, /value="grace"/);
    shown = await browser.submit({ login: "ada", password: "wrong" });
    assert.match(shown.text, /The name or the password is not right/);
    assert.match(shown.text, /value="ada"/);
    assert.equal(shown.text.includes('wrong"'), false);
    shown = await browser.submit({ login: "ada", password: PASSWORD });
    assert.ok((await request.redeem(shown.url)).access_token);
  });

  test("a client that expects somebody gets nobody else", async () => {
    await using identity = await startIdentityUnderTest();
    const { party, browser, tokens } = await signedIn(identity);
    const hint = { id_token_hint: tokens.id_token ?? "" };
    const stranger = identity.browser();
    await stranger.open((await party.begin(hint)).url);
    const shown = await stranger.submit({ login: "grace", password: PASSWORD });
    assert.equal(errorOf(shown.url), "login_required");
    const own = await party.begin(hint);
    assert.ok((await own.redeem((await browser.open(own.url)).url)).access_token);
  });
});

describe("another person at the same browser", () => {
  test("signs the first one out, everywhere, and gets a session of their own", async () => {
    await using identity = await startIdentityUnderTest();
    const { party, browser, tokens } = await signedIn(identity);
    const request = await party.begin({ prompt: "login" });
    await browser.open(request.url);
    const shown = await browser.submit({ login: "grace", password: PASSWORD });
    assert.equal(shown.isForeign, true, shown.text);
    const theirs = (await request.redeem(shown.url)).claims();
    assert.notEqual(theirs?.sub, tokens.claims()?.sub);
    assert.notEqual(theirs?.["sid"], tokens.claims()?.["sid"]);
    assert.deepEqual(await identity.server.provider.sessions.list(identity.adaId), []);
  });

  test("does not mix with a session that began in another tab meanwhile", async () => {
    await using identity = await startIdentityUnderTest();
    const party = await identity.relyingParty();
    const browser = identity.browser();
    const first = await party.begin();
    const page = await browser.open(first.url);
    assert.match(page.text, /name="password"/);
    const formToken = /name="formToken" value="([^"]*)"/.exec(page.text)?.[1] ?? "";
    // The other tab.
    const theirs = await party.signIn(browser, { login: "grace" });
    const answer = await browser.request(new URL(page.url).pathname, {
      method: "POST",
      headers: { origin: identity.issuer, "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams({ formToken, login: "ada", password: PASSWORD }).toString(),
    });
    const shown = await browser.open(answer.headers.get("location") ?? "");
    assert.equal(shown.isForeign, true, shown.text);
    const mine = (await first.redeem(shown.url)).claims();
    assert.equal(mine?.sub, identity.adaId);
    assert.notEqual(mine?.["sid"], theirs.claims()?.["sid"]);
  });

  test("is let in where they signed in on another page: the waiting request goes on by itself", async () => {
    await using identity = await startIdentityUnderTest();
    const party = await identity.relyingParty();
    const browser = identity.browser();
    const request = await party.begin();
    const page = await browser.open(request.url);
    const here = new URL(page.url).pathname;
    await browser.open(`/register?${new URLSearchParams({ continue: here }).toString()}`);
    const shown = await browser.submit({
      loginName: "edsger",
      email: "edsger@example.org",
      password: "goto is considered harmful",
    });
    assert.equal(shown.isForeign, true, shown.text);
    assert.equal((await request.redeem(shown.url)).claims()?.["preferred_username"], "edsger");
  });
});
