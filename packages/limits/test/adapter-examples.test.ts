// The examples as a person copies them: each is started and used by a real client, on the machine's clock.

import assert from "node:assert/strict";
import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { io, type Socket } from "socket.io-client";
import { WebSocket } from "ws";
import { waitFor } from "@tidegate/testkit";
import { startServer } from "../examples/fastify.ts";
import { server as fetchServer } from "../examples/fetch.ts";
import { server as socketIoServer } from "../examples/socket-io.ts";
import { server as wsServer } from "../examples/ws.ts";

async function listen(server: Server): Promise<{ readonly port: number } & AsyncDisposable> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

test("examples/fastify.ts limits payments by user, bytes by user, and everybody by address", async () => {
  const app = await startServer(0);
  try {
    const base = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
    const headers = { authorization: "Bearer of-ada", "content-type": "application/json" };
    const pay = (): Promise<Response> =>
      fetch(`${base}/payments`, { method: "POST", headers, body: '{"amount":1}' });
    for (let i = 0; i < 5; i++) assert.equal((await pay()).status, 200);
    const refused = await pay();
    assert.equal(refused.status, 429);
    assert.match(refused.headers.get("ratelimit") ?? "", /"pay";r=0;t=\d+/);
    const problem = (await refused.json()) as Record<string, unknown>;
    assert.deepEqual(problem["violated-policies"], ["pay"]);

    const put = (length: number): Promise<Response> =>
      fetch(`${base}/notes`, {
        method: "PUT",
        headers,
        body: JSON.stringify("x".repeat(length)),
      });
    const kept = await put(900_000);
    assert.equal(kept.status, 200);
    assert.match(
      kept.headers.get("ratelimit-policy") ?? "",
      /"upload";q=1000000;qu="content-bytes"/,
    );
    assert.equal((await put(900_000)).status, 429);
    assert.equal((await put(1_000_000)).status, 413);

    const guesses = Array.from({ length: 30 }, (_, i) => fetch(`${base}/guess-${i}`));
    const statuses = (await Promise.all(guesses)).map(({ status }) => status);
    assert.ok(statuses.includes(404) && statuses.includes(429), statuses.join(" "));
    assert.equal((await fetch(`${base}/health`)).status, 200);
  } finally {
    await app.close();
  }
});

test("examples/fetch.ts limits by address and echoes bodies", async () => {
  await using server = await listen(fetchServer);
  const ask = (init?: RequestInit): Promise<Response> =>
    fetch(`http://127.0.0.1:${server.port}/`, init);
  assert.equal(await (await ask()).text(), "hello\n");
  const text = "x".repeat(100_000);
  assert.equal(await (await ask({ method: "POST", body: text })).text(), text);
  assert.equal((await ask()).headers.get("ratelimit")?.split(";")[0], '"per-address"');
  const refused = await ask({ headers: { "x-forwarded-for": "198.51.100.1" } });
  assert.equal(refused.status, 429);
  assert.ok(Number(refused.headers.get("retry-after")) >= 50);
});

test("examples/ws.ts echoes, slows down who is fast, and closes who sends too much", async () => {
  await using server = await listen(wsServer);
  const sockets: WebSocket[] = [];
  const dial = async (): Promise<WebSocket> => {
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}`);
    sockets.push(socket);
    await once(socket, "open");
    return socket;
  };
  try {
    const fast = await dial();
    const got: string[] = [];
    fast.on("message", (data: Buffer) => got.push(data.toString()));
    const startedMs = performance.now();
    const sent = Array.from({ length: 30 }, (_, i) => `${i}`);
    for (const text of sent) fast.send(text);
    await waitFor(() => got.length === sent.length, { what: "all thirty" });
    assert.deepEqual(got, sent);
    // Ten at once, then fifty a second.
    assert.ok(performance.now() - startedMs >= 350, "they were not slowed down");

    const heavy = await dial();
    const closed = once(heavy, "close");
    for (let i = 0; i < 3; i++) heavy.send("x".repeat(60_000));
    const [code, reason] = await closed;
    assert.equal(code, 4429);
    assert.match(String(reason), /^limit;retryAfter=\d+/);

    await waitFor(() => heavy.readyState === WebSocket.CLOSED, { what: "the slot" });
    for (let i = 0; i < 4; i++) await dial();
    const sixth = new WebSocket(`ws://127.0.0.1:${server.port}`);
    sixth.on("error", () => {});
    const [, response] = await once(sixth, "unexpected-response");
    assert.equal(response.statusCode, 429);
    sixth.terminate();
  } finally {
    for (const socket of sockets) socket.terminate();
  }
});

test("examples/socket-io.ts limits posts by user over devices, and lets others go on", async () => {
  await using server = await listen(socketIoServer);
  const clients: Socket[] = [];
  const dial = async (token: string): Promise<Socket> => {
    const client = io(`http://127.0.0.1:${server.port}`, { auth: { token }, forceNew: true });
    clients.push(client);
    await new Promise<void>((resolve) => client.once("connect", resolve));
    return client;
  };
  try {
    const [phone, laptop, other] = [await dial("of-ada"), await dial("of-ada"), await dial("x")];
    assert.deepEqual(await phone.emitWithAck("post", "1"), { posted: true });
    assert.deepEqual(await laptop.emitWithAck("reply", "2"), { posted: true });
    assert.deepEqual(await phone.emitWithAck("post", "3"), { posted: true });
    const { error } = await laptop.emitWithAck("post", "4");
    assert.equal(error.status, 429);
    assert.deepEqual(error.violatedPolicies, ["posts"]);
    assert.deepEqual(await other.emitWithAck("post", "5"), { posted: true });
    const ended = new Promise((resolve) => other.once("disconnect", resolve));
    for (let i = 0; i < 300; i++) other.emit("typing");
    assert.equal(await ended, "io server disconnect");
  } finally {
    for (const client of clients) client.disconnect();
  }
});
