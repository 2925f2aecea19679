// What only a browser shows: its own WebSocket behind the gateway, the codes it tells a page, and pages of other sites.

import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { describe, test } from "node:test";
import { startChromium, startUpstream } from "@tidegate/testkit";
import { startGateway } from "./http-harness.ts";

const PAGE = "<!doctype html><meta charset=utf-8><title>page</title><p>A page";

/** Opens a socket in the page, sends one message after the other's echo, and tells what came of it. Runs in the browser. */
async function talk({ url, messages }: { url: string; messages: readonly string[] }) {
  const socket = new WebSocket(url);
  const got: string[] = [];
  return await new Promise<{
    opened: boolean;
    got: string[];
    code: number;
    reason: string;
    extensions: string;
  }>((resolve) => {
    let opened = false;
    socket.addEventListener("open", () => {
      opened = true;
      socket.send(messages[0] ?? "");
    });
    socket.addEventListener("message", (event) => {
      got.push(String(event.data));
      if (got.length === messages.length) socket.close(1000);
      else socket.send(messages[got.length] ?? "");
    });
    socket.addEventListener("close", ({ code, reason }) =>
      resolve({ opened, got, code, reason, extensions: socket.extensions }),
    );
  });
}

describe("a browser behind the gateway", () => {
  test("loads a page, talks over its own compressed WebSocket, and is told why it is ended", async () => {
    await using upstream = await startUpstream({
      isCompressing: true,
      onRequest(_, response) {
        response.setHeader("content-type", "text/html");
        response.end(PAGE);
      },
    });
    await using gateway = await startGateway({
      targets: [upstream.url],
      routes: [
        { path: "/**" },
        { path: "/live", websocket: {} },
        {
          path: "/limited",
          websocket: {
            limits: [{ kind: "window", limit: 3, seconds: 600, class: "text", exceed: "close" }],
          },
        },
      ],
    });
    await using chromium = await startChromium();
    await using person = await chromium.newPerson();
    const page = await person.newPage();
    await page.goto(gateway.url);
    assert.equal(await page.title(), "page");

    const base = gateway.url.replace("http", "ws");
    const messages = ["one", "ü".repeat(40_000), ""];
    const open = await page.evaluate(talk, { url: `${base}/live`, messages });
    assert.deepEqual(open.got, messages);
    assert.equal(open.code, 1000);
    assert.match(open.extensions, /permessage-deflate/);

    const limited = await page.evaluate(talk, {
      url: `${base}/limited`,
      messages: ["1", "2", "3", "4", "5"],
    });
    assert.deepEqual(limited.got, ["1", "2", "3"]);
    assert.equal(limited.code, 4429);
    assert.match(limited.reason, /^limit;retryAfter=\d+;reauthenticate=0$/);
  });

  test("a page of another origin can neither open a socket nor write with what the browser adds by itself", async () => {
    const serve = {
      onRequest(_: unknown, response: ServerResponse): void {
        response.setHeader("content-type", "text/html");
        response.end(PAGE);
      },
    };
    await using upstream = await startUpstream(serve);
    await using elsewhere = await startUpstream(serve);
    await using gateway = await startGateway({
      targets: [upstream.url],
      routes: [{ path: "/**" }, { path: "/live", websocket: {} }],
    });
    await using chromium = await startChromium();
    await using person = await chromium.newPerson();
    const page = await person.newPage();
    // Another port of the same host is another origin, and the same site: SameSite would not help.
    await page.goto(`http://localhost:${elsewhere.port}/`);
    const reached = upstream.requests.length;

    const socket = await page.evaluate(talk, {
      url: `${gateway.url.replace("http", "ws")}/live`,
      messages: ["hello"],
    });
    assert.equal(socket.opened, false);
    assert.equal(socket.code, 1006);
    assert.equal(upstream.requests.length, reached);
    const refusals = await gateway.loggedAtLeast("request", 1);
    assert.deepEqual(
      refusals.map(({ kind, status, reason }) => ({ kind, status, reason })),
      [{ kind: "handshake", status: 403, reason: "origin-refused" }],
    );
  });
});
