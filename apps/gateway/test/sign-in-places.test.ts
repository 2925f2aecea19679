// Where a sign-in leads people: never to another site, always to the one name under which they can be signed in.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { systemClock } from "@tidegate/clock";
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

  test("many tabs may begin at once, over two workers; the oldest of more than five is told to begin again", async () => {
    await using t = await setUpSessions({ threads: 2 });
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

  test("one address is slowed after 60 sign-ins, whichever of two workers it comes to, and nobody is refused", async () => {
    // Nothing comes back meanwhile, however slow the machine is.
    const clock = { ...systemClock, monotonicMs: () => 1_000_000 };
    await using t = await setUpSessions({ threads: 2, clock });
    const host = new URL(t.url).host;
    const lines = ["GET /.tidegate/sign-in?returnTo=/open HTTP/1.1", `Host: ${host}`];
    const begin = () => t.gateway.ask([...lines, "Connection: close", "", ""].join("\r\n"));
    const first = await Promise.all(Array.from({ length: 60 }, begin));
    assert.deepEqual(new Set(first.map(({ status }) => status)), new Set([303]));
    const beganMs = performance.now();
    const late = await Promise.all(Array.from({ length: 4 }, begin));
    assert.deepEqual(new Set(late.map(({ status }) => status)), new Set([303]));
    assert.ok(performance.now() - beganMs >= 1_900, "the fourth waits for two seconds");
    const requests = await t.gateway.loggedAtLeast("request", 64);
    const workers = requests.map(({ connection }) => Math.floor(Number(connection) / 2 ** 32));
    assert.equal(new Set(workers).size, 2, "both workers served");
  });
});
