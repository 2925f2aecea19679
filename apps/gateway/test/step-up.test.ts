// Raising a sign-in: in another way or anew, by the same person, or not at all.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { openSocket, SESSION, setUpSessions, statusOf } from "./session-harness.ts";
import { TestBrowser } from "./test-browser.ts";

describe("step-up", () => {
  const STEP_UP = "/.tidegate/step-up?acr=phr&maxAge=300&returnTo=/open";

  test("raises the same person's session under a new id; sockets go on, the old id does not", async () => {
    await using t = await setUpSessions({ threads: 2 });
    const browser = await t.signedIn("ada");
    const old = browser.cookie("localhost", SESSION) ?? "";
    const { isOpen, closed } = await openSocket(t, browser);
    const refused = await t.call(browser, "/pay");
    assert.equal(refused.status, 401);
    assert.match(String(refused.headers["www-authenticate"]), /acr_values="phr", max_age=300/);
    t.provider.acr = "phr";
    const answer = await browser.go(`${t.url}${STEP_UP}`, { as: "ada" });
    assert.equal(answer.url.href, `${t.url}/open`);
    assert.equal(await statusOf(t, browser, "/pay"), 200);
    assert.notEqual(browser.cookie("localhost", SESSION), old);
    assert.equal(isOpen(), true);
    const thief = new TestBrowser();
    thief.cookies.set("localhost", new Map([[SESSION, old]]));
    for (let calls = 0; calls < 6; calls++) assert.equal(await statusOf(t, thief), 401);
    // What lives by the old id goes on by the new one, and ends with it.
    await t.call(browser, "/.tidegate/sign-out", { method: "POST" });
    assert.equal(await closed, "4410,session-revoked");
  });

  test("gives up after one try when the level is not reached, and leaves the session as it was", async () => {
    await using t = await setUpSessions();
    const browser = await t.signedIn("ada");
    const old = browser.cookie("localhost", SESSION);
    // A provider that takes `acr_values` for a hint.
    const begun = await browser.open(`${t.url}${STEP_UP}`);
    const hint = new URL(begun.location ?? "");
    assert.equal(hint.searchParams.get("acr_values"), "phr");
    assert.equal(hint.searchParams.get("max_age"), "300");
    assert.ok((hint.searchParams.get("id_token_hint") ?? "").length > 100);
    hint.searchParams.delete("acr_values");
    const answer = await browser.go(hint, { as: "ada" });
    assert.equal(answer.status, 403);
    assert.match(answer.body, /not strong enough/);
    assert.doesNotMatch(answer.body, /sign-in\?/);
    assert.equal(browser.cookie("localhost", SESSION), old);
    assert.equal(await statusOf(t, browser), 200);
    assert.equal(await statusOf(t, browser, "/pay"), 401);
  });

  test("by another person changes nothing", async () => {
    await using t = await setUpSessions();
    const browser = await t.signedIn("ada");
    const old = browser.cookie("localhost", SESSION);
    t.provider.acr = "phr";
    // The provider has forgotten who was there.
    browser.cookies.delete("127.0.0.1");
    const begun = await browser.open(`${t.url}${STEP_UP}`);
    const url = new URL(begun.location ?? "");
    url.searchParams.delete("id_token_hint");
    const answer = await browser.go(url, { as: "mallory" });
    assert.equal(answer.status, 403);
    assert.match(answer.body, /somebody else/);
    assert.equal(browser.cookie("localhost", SESSION), old);
    assert.equal((await t.session(browser))["name"], "Name of ada");
  });

  test("asks for what some route wants, and nothing else", async () => {
    await using t = await setUpSessions();
    const browser = await t.signedIn("ada");
    for (const query of [
      "",
      "acr=unheard-of",
      "acr=phr%20unheard-of",
      "acr=phr&maxAge=-1",
      "maxAge=x",
      "maxAge=1e3",
      "maxAge=999999999",
    ]) {
      // prettier-ignore
      const answer = await browser.open(`${t.url}/.tidegate/step-up?${query}`);
      assert.equal(answer.status, 400, query);
      assert.equal(answer.location, undefined);
    }
  });

  test("a sign-in that is older than asked for is refused, whatever the provider makes of max_age", async () => {
    await using t = await setUpSessions();
    t.provider.signedInSecondsAgo = 600;
    const browser = await t.signedIn("ada");
    const begun = await browser.open(`${t.url}/.tidegate/step-up?maxAge=300&returnTo=/open`);
    const url = new URL(begun.location ?? "");
    assert.equal(url.searchParams.get("max_age"), "300");
    url.searchParams.delete("max_age");
    const answer = await browser.go(url, { as: "ada" });
    assert.equal(answer.status, 403);
    assert.match(answer.body, /not strong enough/);
  });
});
