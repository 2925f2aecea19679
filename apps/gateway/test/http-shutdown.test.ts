// Stopping in stages: nothing new is taken, what runs may finish, the rest is cut at the deadline.

import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { connect } from "node:net";
import { describe, test } from "node:test";
import { readAnswer, startUpstream, waitFor } from "@tidegate/testkit";
import { get, startGateway } from "./http-harness.ts";

for (const threads of [0, 2])
  describe(`stop() with ${threads} worker threads`, () => {
    test("lets a running request finish, refuses new connections, and says so to probes", async () => {
      let held: ServerResponse | undefined;
      await using upstream = await startUpstream({
        onRequest: (_request, response) => void (held = response),
      });
      await using gateway = await startGateway({
        targets: [upstream.url],
        threads,
        drainTimeoutMs: 5_000,
      });
      assert.equal((await gateway.ask(get("/readyz"))).status, 200);
      await using client = await gateway.connect();
      await using idle = await gateway.connect();
      await idle.write(get("/healthz"));
      await readAnswer(idle);
      // A probe on a connection of its own that has sent half a head when the stop begins.
      await using probe = await gateway.connect();
      await probe.write("GET /readyz HTTP/1.1\r\nHost: x\r\n");
      await client.write(get("/x") + get("/pipelined"));
      await upstream.requestAt(0);
      const stopped = gateway.gateway.stop("test");
      assert.equal(gateway.gateway.stop("again"), stopped);
      await idle.ended();
      await waitFor(() => isRefused(gateway.port), { what: "new connections to be refused" });
      await probe.write("\r\n");
      const notReady = await readAnswer(probe);
      assert.equal(notReady.status, 503);
      assert.equal(notReady.field("connection"), "close");
      held?.end("finished");
      const answer = await readAnswer(client);
      assert.deepEqual([answer.body.toString(), answer.field("connection")], ["finished", "close"]);
      await stopped;
      await client.ended();
      assert.equal(upstream.requests.length, 1, "a pipelined request was begun while stopping");
    });

    test("waits until the last byte of a big answer has left", async () => {
      const total = 3_000_000;
      await using upstream = await startUpstream({
        onRequest: (_request, response) => void response.end(Buffer.alloc(total, "x")),
      });
      await using gateway = await startGateway({
        targets: [upstream.url],
        threads,
        drainTimeoutMs: 5_000,
      });
      await using client = await gateway.connect();
      client.pause();
      await client.write(get("/x"));
      await upstream.requestAt(0);
      const stopped = gateway.gateway.stop("test");
      client.resume();
      const answer = await readAnswer(client);
      assert.equal(answer.body.length, total);
      await stopped;
    });

    test("cuts at the deadline what did not finish", async () => {
      await using upstream = await startUpstream({ onRequest: () => undefined });
      await using gateway = await startGateway({
        targets: [upstream.url],
        threads,
        drainTimeoutMs: 50,
      });
      await using client = await gateway.connect();
      await client.write(get("/x"));
      await upstream.requestAt(0);
      await gateway.gateway.stop("test");
      await client.ended();
      assert.equal(client.receivedBytes(), 0);
      await waitFor(() => upstream.openConnections() === 0, {
        what: "the request upstream to be cut",
      });
      const [line] = await gateway.loggedAtLeast("gateway.stopped", 1);
      assert.equal(line?.["requestsCut"], 1);
    });

    test("is safe before start() and after it failed", async () => {
      await using upstream = await startUpstream();
      await using gateway = await startGateway({ targets: [upstream.url], threads });
      await assert.rejects(
        startGateway({ targets: [upstream.url], threads, listen: { port: gateway.port } }),
        /EADDRINUSE|in use|taken/,
      );
    });
  });

function isRefused(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    socket.once("connect", () => {
      socket.destroy();
      resolve(false);
    });
    socket.once("error", () => resolve(true));
  });
}
