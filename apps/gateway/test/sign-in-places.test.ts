// Where a sign-in leads people: never to another site, always to the one name under which they can be signed in.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { assertPage, FLOW, setUpSessions, untilCallback } from "./session-harness.ts";
import { TestBrowser } from "./test-browser.ts";

describe("where people are sent", () => {
  test("returnTo never leaves our origin", async () => {
    await using t = await setUpSessions();
    for (const hostile of [
      "https://attacker.example/",
      "//attacker.example",
      "/\\attacker.example",
      "/.//attacker.example",
      "/\t/attacker.example",
      "/.tidegate/sign-in",
    ]) {
      // prettier-ignore
      const browser = new TestBrowser();
      const path = `/.tidegate/sign-in?returnTo=${encodeURIComponent(hostile)}`;
      const answer = await browser.open(await untilCallback(t, browser, { path }));
      assert.equal(answer.headers.location, `${t.url}/`, hostile);
    }
    const browser = new TestBrowser();
    const path = `/.tidegate/sign-in?returnTo=${encodeURIComponent("/d/1?a=b&c=//x#part")}`;
    const answer = await browser.open(await untilCallback(t, browser, { path }));
    assert.equal(answer.headers.location, `${t.url}/d/1?a=b&c=//x#part`);
  });

  test("people at another name of ours are led to the public one; programs stay", async () => {
    await using t = await setUpSessions();
    const other = t.url.replace("localhost", "127.0.0.1");
    const browser = new TestBrowser();
    const page = await browser.open(`${other}/page?a=b`);
    assert.equal(page.status, 307);
    assert.equal(page.headers.location, `${t.url}/page?a=b`);
    const start = await browser.open(`${other}/.tidegate/sign-in?returnTo=/page`);
    assert.equal(start.headers.location, `${t.url}/.tidegate/sign-in?returnTo=/page`);
    assert.equal((await browser.open(`${other}/open`, { isNavigation: false })).status, 200);
    const form = await browser.open(`${other}/open`, { method: "POST", body: "x" });
    assert.equal(form.status, 200);
    assert.equal(
      (await browser.open(`http://attacker.example:${t.gateway.port}/page`)).status,
      421,
    );
  });

  test("many tabs may begin at once; the oldest of more than five is told to begin again", async () => {
    await using t = await setUpSessions();
    const browser = new TestBrowser();
    const callbacks: URL[] = [];
    for (let tab = 0; tab < 6; tab++) callbacks.push(await untilCallback(t, browser));
    assert.ok((browser.cookie("localhost", FLOW) ?? "").length < 4_000);
    assertPage(await browser.open(callbacks[0] ?? ""), 400, /cannot be completed here/);
    for (const callback of callbacks.slice(1))
      assert.equal((await browser.open(callback)).status, 303);
    assert.equal((await t.call(browser, "/tasks/1")).status, 200);
    assert.equal(browser.cookie("localhost", FLOW), undefined);
  });
});
