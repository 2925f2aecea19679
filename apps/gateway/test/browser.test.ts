// What only a browser shows: its own WebSocket behind the gateway, the codes it tells a page, and pages of other sites.

import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { describe, test } from "node:test";
import { issuer as startIssuer, startChromium, startUpstream } from "@tidegate/testkit";
import { startGateway } from "./http-harness.ts";

const PAGE = "<!doctype html><meta charset=utf-8><title>page</title><p>A page";

/** Opens a socket in the page, sends one message after the other's echo, and tells what came of it. Runs in the browser. */
async function talk({
  url,
  messages = [],
  protocols = [],
}: {
  url: string;
  messages?: readonly string[];
  protocols?: string[];
}) {
  const socket = new WebSocket(url, protocols);
  const got: string[] = [];
  return await new Promise<{
    opened: boolean;
    got: string[];
    code: number;
    reason: string;
    extensions: string;
    protocol: string;
    wasClean: boolean;
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
    socket.addEventListener("close", ({ code, reason, wasClean }) => {
      const { extensions, protocol } = socket;
      resolve({ opened, got, code, reason, extensions, protocol, wasClean });
    });
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

  for (const threads of [0, 2]) {
    test(`a page sees why its socket was refused, and a loop of reconnects is told once, with ${threads} workers`, async () => {
      const refusals: Readonly<Record<string, string>> = {
        "/deleted": "410 Gone",
        "/busy": "429 Too Many Requests\r\nRetry-After: 9",
      };
      await using upstream = await startUpstream({
        onRequest(_, response) {
          response.setHeader("content-type", "text/html");
          response.end(PAGE);
        },
        onUpgrade({ target }, socket) {
          socket.end(`HTTP/1.1 ${refusals[target] ?? "500 No"}\r\nContent-Length: 0\r\n\r\n`);
        },
      });
      await using provider = await startIssuer({ algorithms: ["ES256"] });
      const auth = { by: ["people"] };
      await using gateway = await startGateway({
        threads,
        targets: [upstream.url],
        identity: { people: { kind: "oidc", issuer: provider.url, audience: "https://api.test" } },
        routes: [
          { path: "/**" },
          { path: "/live", auth, websocket: {} },
          { path: "/always", auth, websocket: { handshakeRefusal: "close" } },
          { path: "/never", auth, websocket: { handshakeRefusal: "status" } },
          { path: "/deleted", websocket: {} },
          { path: "/busy", websocket: { closeProfile: "standard" } },
        ],
      });
      await using chromium = await startChromium();
      await using person = await chromium.newPerson();
      const page = await person.newPage();
      await page.goto(gateway.url);
      const base = gateway.url.replace("http", "ws");
      const open = async (path: string, protocols: string[] = []) => {
        const { opened, code, reason, protocol, wasClean } = await page.evaluate(talk, {
          url: base + path,
          protocols,
        });
        return { opened, code, reason, protocol, wasClean };
      };
      const unseen = { opened: false, code: 1006, reason: "", protocol: "", wasClean: false };
      const told = { opened: true, protocol: "", wasClean: true };

      assert.deepEqual(await open("/never"), unseen);
      const refused = { ...told, code: 4401, reason: "credential" };
      for (let count = 0; count < 3; count++) assert.deepEqual(await open("/always"), refused);
      const protocols = ["tidegate.ticket.none", "tasks.v1", "tasks.v2"];
      assert.deepEqual(await open("/always", protocols), { ...refused, protocol: "tasks.v1" });
      assert.deepEqual(await open("/deleted"), { ...told, code: 4404, reason: "gone" });
      const wait = { ...told, code: 1013, reason: "limit;retryAfter=9;reauthenticate=0" };
      assert.deepEqual(await open("/busy"), wait);

      assert.deepEqual(await open("/live"), refused);
      const loop: unknown[] = [];
      for (let count = 0; count < 8; count++) loop.push((await open("/live")).code);
      // Each worker may tell it once.
      assert.ok(loop.filter((code) => code === 4401).length <= Math.max(0, threads - 1));
      assert.ok(loop.every((code) => code === 4401 || code === 1006));
    });
  }
});
