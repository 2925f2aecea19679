// Signing in with a real browser, which decides by itself what cookies it takes and what it says about other sites.

import assert from "node:assert/strict";
import type { AddressInfo } from "node:net";
import { createServer } from "node:http";
import { once } from "node:events";
import { describe, test } from "node:test";
import { startChromium, waitFor } from "@tidegate/testkit";
import { setUpSessions, SESSION, FLOW } from "./session-harness.ts";

/** A server on another port of the same host, with a page of its own and cookies for everybody. Closed with the test. */
async function otherPort(cookies: readonly string[]): Promise<{ url: string } & AsyncDisposable> {
  const server = createServer((_, response) => {
    response.setHeader("set-cookie", [...cookies]);
    response.setHeader("content-type", "text/html");
    response.end("<!doctype html><title>other port</title>");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://localhost:${port}/`,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

describe("a person with a browser", () => {
  test("signs in, calls from a page, and signs out in one tab, which ends the other", async () => {
    await using t = await setUpSessions({ threads: 2 });
    await using chromium = await startChromium();
    await using person = await chromium.newPerson();
    const page = await person.newPage();
    const call = (path: string, method = "GET"): Promise<number> =>
      page.evaluate(
        async ([to, how]) =>
          (await fetch(to ?? "", { method: how ?? "", headers: { "Tidegate-CSRF": "1" } })).status,
        [path, method],
      );
    // Under another of our names: led to the public one.
    await page.goto(`${t.url.replace("localhost", "127.0.0.1")}/open`);
    assert.equal(page.url(), `${t.url}/open`);
    assert.equal(await call("/tasks/1"), 401);
    await page.goto(`${t.url}/.tidegate/sign-in?returnTo=/page`);
    await page.goto(`${page.url()}?as=ada`);
    assert.equal(page.url(), `${t.url}/page`);
    const cookies = await person.cookies();
    const own = cookies.find(({ name }) => name === SESSION);
    assert.equal(own?.httpOnly, true);
    assert.equal(own.secure, true);
    assert.equal(own.sameSite, "Lax");
    assert.equal(
      cookies.some(({ name }) => name === FLOW),
      false,
    );
    assert.equal(await page.evaluate("document.cookie"), "");
    assert.equal(await call("/tasks/1"), 200);
    assert.equal(await call("/tasks/1", "POST"), 200);

    const tab = await person.newPage();
    await tab.goto(`${t.url}/open`);
    await tab.evaluate(() =>
      fetch("/.tidegate/sign-out", { method: "POST", headers: { "Tidegate-CSRF": "1" } }),
    );
    assert.equal(await call("/tasks/1"), 401);
  });

  test("is not acted for by a page on another port, nor by the cookies it plants by script", async () => {
    await using t = await setUpSessions();
    const mallory = await t.signedIn("mallory");
    const planted = mallory.cookie("localhost", SESSION) ?? "";
    await using other = await otherPort([
      // Without what the prefix demands a browser takes none of these.
      `${SESSION}=${planted}`,
      `${SESSION}=${planted}; Secure; Path=/x`,
      `${SESSION}=${planted}; Secure; Path=/; Domain=localhost`,
      `=${SESSION}=${planted}; Path=/`,
    ]);
    await using chromium = await startChromium();
    await using person = await chromium.newPerson();
    const page = await person.newPage();
    await page.goto(`${t.url}/.tidegate/sign-in?returnTo=/page`);
    await page.goto(`${page.url()}?as=ada`);
    const value = async (): Promise<string | undefined> =>
      (await person.cookies()).find(({ name }) => name === SESSION)?.value;
    const before = await value();
    const reached = t.upstream.requests.length;
    await page.goto(other.url);
    const written = JSON.stringify(`${SESSION}=${planted}; Secure; Path=/`);
    await page.evaluate(`document.cookie = ${written}`);
    assert.equal(await value(), before);
    for (const init of [
      { method: "POST", body: "a=b", mode: "no-cors", credentials: "include" },
      { method: "GET", mode: "no-cors", credentials: "include" },
    ] as const)
      await page.evaluate(
        ([url, how]) =>
          fetch(url, how).then(
            () => undefined,
            () => undefined,
          ),
        [`${t.url}/tasks/1`, init] as const,
      );
    const read = await page.evaluate(
      (url) =>
        fetch(url, { credentials: "include" }).then(
          () => "read",
          () => "refused",
        ),
      `${t.url}/.tidegate/session`,
    );
    assert.equal(read, "refused");
    await waitFor(
      async () => {
        const lines = await t.gateway.logged("request");
        return lines.filter(({ reason }) => reason === "origin-refused").length === 2;
      },
      { what: "both refusals in the log" },
    );
    assert.equal(t.upstream.requests.length, reached);
  });
});
