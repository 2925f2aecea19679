import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { rawConnection, readAnswer, startUpstream, tempFolder, waitFor } from "@tidegate/testkit";
import { WebSocket as WsClient } from "ws";
import { validateConfig } from "../src/config/load-config.ts";
import type { GatewayConfigInput } from "../src/config/schema.ts";
import { createGateway } from "../src/gateway.ts";
import {
  bare,
  handshake,
  masked,
  openClient,
  readClose,
  startRawUpstream,
} from "./socket-harness.ts";

type SocketOptions = NonNullable<GatewayConfigInput["routes"][number]["websocket"]>;

/** A whole gateway with `/live` in front of a service; it logs to a file and has a fixed admin port of 0. */
async function startGateway(
  upstreamPort: number,
  websocket: SocketOptions = {},
): Promise<StartedGateway> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await tempFolder());
  const logFile = folder.file("gateway.log");
  const { config } = validateConfig(
    {
      listen: { port: 0 },
      admin: { port: 0 },
      threads: 0,
      dataFolder: folder.file("data"),
      upstreams: { live: { targets: [`http://127.0.0.1:${upstreamPort}`] } },
      routes: [
        {
          path: "/live",
          to: "live",
          auth: "none",
          limits: [{ kind: "bucket", rate: { count: 1, seconds: 60 }, burst: 3, per: "address" }],
          websocket,
        },
      ],
      record: { destination: logFile },
    } satisfies GatewayConfigInput,
    { folder: "/" },
  );
  const gateway = stack.use(createGateway(config));
  const { port, adminUrl } = await gateway.start();
  const parts = stack.move();
  return {
    port,
    stop: () => gateway.stop("test"),
    async line(event) {
      return waitFor(
        async () =>
          (await readFile(logFile, "utf8"))
            .split("\n")
            .filter((line) => line.includes(`"event":"${event}"`))
            .map((line) => JSON.parse(line) as Record<string, unknown>)[0],
        { what: `a line ${event}` },
      );
    },
    async metrics() {
      const token = (await readFile(folder.file("data/admin-token"), "utf8")).trim();
      const answer = await fetch(`${adminUrl}/metrics`, {
        headers: { authorization: `Bearer ${token}` },
      });
      assert.equal(answer.status, 200);
      return answer.text();
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

interface StartedGateway extends AsyncDisposable {
  readonly port: number;
  stop(): Promise<void>;
  /** Waits for the first line of that event in the log. */
  line(event: string): Promise<Record<string, unknown>>;
  metrics(): Promise<string>;
}

describe("the gateway's sockets", () => {
  test("a wrong version gets 426 with the right one, and no service hears of it", async () => {
    await using upstream = await startRawUpstream();
    await using gateway = await startGateway(upstream.port);
    await using client = await rawConnection(gateway.port);
    await client.write(handshake(gateway.port, { "Sec-WebSocket-Version": "777" }));
    const answer = await readAnswer(client);
    assert.equal(answer.status, 426);
    assert.equal(answer.field("sec-websocket-version"), "13");
    assert.equal(answer.field("content-type"), "application/problem+json");
    assert.equal(upstream.server.sockets.length, 0);
  });

  test("an upstream that fakes a 101 gets nothing, and the client 502", async () => {
    await using upstream = await startRawUpstream({
      answer: () =>
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    });
    await using gateway = await startGateway(upstream.port);
    await using client = await rawConnection(gateway.port);
    await client.write(`${handshake(gateway.port)}GET /admin HTTP/1.1\r\nHost: inside\r\n\r\n`);
    assert.equal((await readAnswer(client)).status, 502);
    await client.ended();
    assert.equal(upstream.frames(0).length, 0);
  });

  test("a handshake over the route's limit gets 429, an admitted one says who it is", async () => {
    await using upstream = await startRawUpstream();
    await using gateway = await startGateway(upstream.port);
    const forged = { "Tidegate-Assertion": "forged", "X-Forwarded-For": "9.9.9.9" };
    for (let count = 0; count < 3; count += 1)
      await (await openClient(gateway, forged))[Symbol.asyncDispose]();
    const [request] = upstream.requests;
    assert.match(request!, /^Tidegate-Assertion: eyJ/m);
    assert.doesNotMatch(request!, /forged|9\.9\.9\.9/);
    await using client = await rawConnection(gateway.port);
    await client.write(handshake(gateway.port));
    assert.equal((await readAnswer(client)).status, 429);
  });

  test("messages are limited, counted in metrics and written down at the end", async () => {
    await using upstream = await startUpstream();
    await using gateway = await startGateway(upstream.port, {
      limits: [
        {
          kind: "bucket",
          rate: { count: 1, seconds: 60 },
          burst: 5,
          class: "text",
          exceed: "drop",
        },
      ],
    });
    const client = new WsClient(`ws://127.0.0.1:${gateway.port}/live`);
    const echoed: string[] = [];
    client.on("message", (data: Buffer) => echoed.push(data.toString()));
    const opened = once(client, "open");
    const [answer] = (await once(client, "upgrade")) as [{ headers: Record<string, string> }];
    await opened;
    for (let count = 0; count < 8; count += 1) client.send(`message ${count}`);
    client.send(Buffer.from("binary passes"));
    await waitFor(() => echoed.length === 6, { what: "the echo of what was admitted" });
    assert.deepEqual(echoed.slice(4), ["message 4", "binary passes"]);
    const metrics = await gateway.metrics();
    assert.match(metrics, /^tidegate_messages_total\{.*class="text".*verdict="throttle".*\} 3$/m);
    assert.match(metrics, /^tidegate_messages_total\{.*class="binary".*verdict="admit".*\} 1$/m);
    client.close(1000, "done");
    await once(client, "close");
    const line = await gateway.line("socket.ended");
    assert.equal(line["connectionId"], answer.headers["tidegate-connection"]);
    assert.deepEqual(
      [line["closeCode"], line["closeReason"], line["endedBy"]],
      [1000, "", "client"],
    );
    assert.deepEqual(line["dropped"], { upstream: { text: 3 }, client: {} });
  });

  test("a stop tells sockets 4512 and ends within its bound", async () => {
    await using upstream = await startRawUpstream();
    await using gateway = await startGateway(upstream.port);
    await using client = await openClient(gateway);
    (await upstream.socket()).write(bare("hello"));
    assert.deepEqual(await client.readBytes(7), bare("hello"));
    const stopped = gateway.stop();
    assert.deepEqual(readClose(await client.readToEnd()), {
      code: 4512,
      reason: "draining;retryAfter=2",
    });
    // It never answers, and its service never ends.
    await client.write(masked("still talking"));
    await stopped;
  });
});
