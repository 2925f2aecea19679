// Targets that are dead, slow or too few: what is tried again, what is a 502, 503 or 504, and what stays bounded.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import type { ServerResponse } from "node:http";
import { connect } from "node:net";
import { describe, test } from "node:test";
import {
  freePort,
  readAnswer,
  startProcess,
  startUpstream,
  waitFor,
  type RawServer,
} from "@tidegate/testkit";
import { fastClock, get, requestBytes, startGateway } from "./http-harness.ts";

import { chunk, OK, problemOf, scripted } from "./scripted-upstream.ts";

describe("retry and timeouts", () => {
  test("a dead target is tried once, then another; two dead ones are a 502", async () => {
    await using upstream = await startUpstream();
    const dead = `http://127.0.0.1:${await freePort()}`;
    const deader = `http://127.0.0.1:${await freePort()}`;
    await using gateway = await startGateway({ targets: [dead, upstream.url] });
    for (let round = 0; round < 4; round++) {
      const answer = await gateway.ask(
        requestBytes("POST /x HTTP/1.1", ["Content-Length: 3"], "abc"),
      );
      assert.equal(answer.status, 200);
    }
    assert.equal(upstream.requests.length, 4);
    await using lost = await startGateway({ targets: [dead, deader] });
    const answer = await lost.ask(requestBytes("POST /x HTTP/1.1", ["Content-Length: 3"], "abc"));
    assert.deepEqual([answer.status, problemOf(answer)], [502, "upstream-unreachable"]);
  });

  /** Answers the first request of each connection; the second one meets its end. */
  const endingOnSecond = (reached: string[]): Promise<RawServer> =>
    scripted((socket, index, count) => {
      reached.push(`${index}.${count}`);
      if (count === 0) socket.write(OK);
      else socket.destroy();
    });

  test("a request without body that met the end of a kept connection is sent once more", async () => {
    const reached: string[] = [];
    await using upstream = await endingOnSecond(reached);
    await using gateway = await startGateway({ targets: [upstream.url] });
    assert.equal((await gateway.ask(get("/x"))).status, 200);
    assert.equal((await gateway.ask(get("/x"))).status, 200);
    assert.deepEqual(reached, ["0.0", "0.1", "1.0"]);
  });

  test("what an upstream says before the request has left for it answers nobody", async () => {
    await using upstream = await scripted(OK);
    await using gateway = await startGateway({ targets: [upstream.url] });
    await using client = await gateway.connect();
    await client.write(get("/x"));
    assert.equal((await readAnswer(client)).body.toString(), "ok");
    // Both are there when the gateway looks, the request first; it leaves when both were read.
    client.socket.write(get("/x"));
    upstream.sockets[0]?.write(OK.replace("ok", "no"));
    assert.equal((await readAnswer(client)).body.toString(), "ok");
    assert.equal(upstream.sockets.length, 2);
  });

  for (const [name, bytes] of [
    ["POST", requestBytes("POST /x HTTP/1.1", ["Content-Length: 0"])],
    ["PATCH", requestBytes("PATCH /x HTTP/1.1", ["Content-Length: 0"])],
    ["PUT with a body", requestBytes("PUT /x HTTP/1.1", ["Content-Length: 1"], "a")],
  ] as const)
    test(`${name} on a kept connection that ended is not sent twice`, async () => {
      const reached: string[] = [];
      await using upstream = await endingOnSecond(reached);
      await using gateway = await startGateway({ targets: [upstream.url] });
      assert.equal((await gateway.ask(get("/x"))).status, 200);
      const answer = await gateway.ask(bytes);
      assert.deepEqual([answer.status, problemOf(answer)], [502, "upstream-ended"]);
      assert.deepEqual(reached, ["0.0", "0.1"]);
    });

  test("a request whose answer had begun, or on a fresh connection, is not sent twice", async () => {
    const reached: string[] = [];
    await using upstream = await scripted((socket, index, count) => {
      reached.push(`${index}.${count}`);
      if (index === 0 && count === 0) socket.write(OK);
      else socket.end("HTTP/1.1 2");
    });
    await using gateway = await startGateway({ targets: [upstream.url] });
    assert.equal((await gateway.ask(get("/x"))).status, 200);
    assert.equal((await gateway.ask(get("/x"))).status, 502);
    assert.equal((await gateway.ask(get("/x"))).status, 502);
    assert.deepEqual(reached, ["0.0", "0.1", "1.0"]);
  });

  test("an upstream that does not answer in time is a 504", async () => {
    await using upstream = await startUpstream({ onRequest: () => undefined });
    await using gateway = await startGateway({
      targets: [upstream.url],
      upstream: { firstByteTimeoutMs: 60 },
    });
    const answer = await gateway.ask(get("/x"));
    assert.deepEqual([answer.status, problemOf(answer)], [504, "upstream-timeout"]);
    await waitFor(() => upstream.openConnections() === 0, { what: "the end of it upstream" });
  });

  test("a target that takes no connection in time is a 504", async () => {
    // Listens and never accepts: a stopped process. Linux drops what does not fit into its queue any more.
    const listens = `
      const server = require("node:net").createServer().listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => {
        require("node:fs").writeSync(1, "port " + server.address().port + "\\n");
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
      });`;
    await using target = await startProcess({ args: ["-e", listens], readyWhen: /port \d+\n/ });
    const port = Number(/port (\d+)/.exec(target.stdout())?.[1]);
    using fillers = new DisposableStack();
    const states = Array.from({ length: 6 }, () => {
      const socket = connect({ port, host: "127.0.0.1" });
      socket.on("error", () => undefined);
      fillers.defer(() => socket.destroy());
      return socket;
    });
    await waitFor(() => states.filter((socket) => !socket.connecting).length >= 2, {
      what: "a full queue",
    });
    await using gateway = await startGateway({
      targets: [`http://127.0.0.1:${port}`],
      upstream: { connectTimeoutMs: 100 },
    });
    const answer = await gateway.ask(get("/x"));
    assert.deepEqual([answer.status, problemOf(answer)], [504, "upstream-timeout"]);
    const [line] = await gateway.loggedAtLeast("request", 1);
    assert.equal(line?.["fault"], "upstream_timeout");
  });

  test("an answer that stalls is cut, and so is one that lasts too long", async () => {
    await using upstream = await scripted((socket) => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc");
    });
    for (const timeouts of [{ idleTimeoutMs: 60 }, { totalTimeoutMs: 60 }]) {
      await using gateway = await startGateway({ targets: [upstream.url], upstream: timeouts });
      await using client = await gateway.connect();
      await client.write(get("/x"));
      await assert.rejects(readAnswer(client), /came first/);
      const [line] = await gateway.loggedAtLeast("request", 1);
      assert.equal(line?.["fault"], "upstream_timeout");
    }
  });

  test("a kept connection is closed when its time is over, and not used after the target's own time", async () => {
    await using upstream = await scripted(
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nKeep-Alive: timeout=1\r\n\r\nok",
    );
    await using gateway = await startGateway({
      targets: [upstream.url],
      upstream: { keepAliveMs: 60 },
    });
    await gateway.ask(get("/x"));
    const socket = await upstream.socketAt(0);
    await waitFor(() => socket.destroyed, { what: "the kept connection to end" });
    await gateway.ask(get("/x"));
    assert.equal(upstream.sockets.length, 2);
  });
});

describe("bounds", () => {
  test("a full queue is a 503 with Retry-After; who waits too long too; who leaves makes room", async () => {
    const held: ServerResponse[] = [];
    await using upstream = await startUpstream({
      onRequest: (_request, response) => void held.push(response),
    });
    await using gateway = await startGateway({
      targets: [upstream.url],
      upstream: { maxConnections: 1, maxQueued: 1, queueTimeoutMs: 500 },
    });
    await using first = await gateway.connect();
    await first.write(get("/first"));
    await upstream.requestAt(0);
    const leaver = await gateway.connect();
    await leaver.write(get("/left"));
    const refused = await waitFor(
      async () => {
        const answer = await gateway.ask(get("/refused"));
        return answer.status === 503 ? answer : undefined;
      },
      { what: "the queue to be full" },
    );
    assert.equal(problemOf(refused), "upstream-saturated");
    assert.match(String(refused.field("retry-after")), /^[1-9]\d*$/);
    leaver.reset();
    await gateway.loggedAtLeast("request", 2);
    await using waiter = await gateway.connect();
    await waiter.write(get("/waits"));
    const late = await readAnswer(waiter);
    assert.deepEqual([late.status, problemOf(late)], [503, "upstream-saturated"]);
    await waiter.write(get("/waits-again"));
    // Its turn comes on the same connection.
    await waitFor(async () => (await gateway.ask(get("/refused"))).status === 503, {
      what: "its place",
    });
    held[0]?.end("first");
    assert.equal((await readAnswer(first)).body.toString(), "first");
    await waitFor(() => held[1], { what: "its turn" });
    held[1]?.end("waited");
    assert.equal((await readAnswer(waiter)).body.toString(), "waited");
    const targets = upstream.requests.map((request) => request.target);
    assert.deepEqual(targets, ["/first", "/waits-again"]);
    assert.equal(new Set(upstream.requests.map((request) => request.connection)).size, 1);
  });

  test("a declared body over the limit is a 413 before a byte of it went upstream", async () => {
    await using upstream = await startUpstream();
    await using gateway = await startGateway({
      targets: [upstream.url],
      routes: [{ path: "/**", maxBodyBytes: 1_000 }],
    });
    await using client = await gateway.connect();
    await client.write(requestBytes("POST /x HTTP/1.1", ["Content-Length: 1001"]));
    await client.write(Buffer.alloc(1_001, "x"));
    const answer = await readAnswer(client);
    assert.deepEqual([answer.status, problemOf(answer)], [413, "body-too-large"]);
    assert.equal(upstream.requests.length, 0);
    assert.equal(
      (await gateway.ask(requestBytes("POST /x HTTP/1.1", ["Content-Length: 4"], "abcd"))).status,
      200,
    );
  });

  test("a chunked body over the limit is a 413, and never whole upstream", async () => {
    await using upstream = await startUpstream({ onRequest: () => undefined });
    await using gateway = await startGateway({
      targets: [upstream.url],
      routes: [{ path: "/**", maxBodyBytes: 1_000 }],
    });
    await using client = await gateway.connect();
    await client.write(requestBytes("POST /x HTTP/1.1", ["Transfer-Encoding: chunked"]));
    await client.write(`${chunk("x".repeat(600))}${chunk("x".repeat(600))}0\r\n\r\n`);
    const answer = await readAnswer(client);
    assert.deepEqual([answer.status, problemOf(answer)], [413, "body-too-large"]);
    await client.ended();
    const request = await upstream.requestAt(0);
    await waitFor(() => request.state() === "cut", { what: "the cut upstream" });
  });

  test("a client in the middle of a refused upload gets to read the answer", async () => {
    await using upstream = await startUpstream();
    await using gateway = await startGateway({
      targets: [upstream.url],
      routes: [{ path: "/**", maxBodyBytes: 1_000 }],
    });
    await using client = await gateway.connect();
    const fields = ["Content-Length: 600000"];
    await client.write(requestBytes("POST /x HTTP/1.1", fields));
    for (let sent = 0; sent < 600_000; sent += 60_000) await client.write(Buffer.alloc(60_000));
    const answer = await readAnswer(client);
    assert.deepEqual([answer.status, answer.field("connection")], [413, "close"]);
    assert.equal(await client.ended(), "end");
  });

  test("a small refused upload does not cost the client its connection; one that never comes does", async () => {
    await using upstream = await startUpstream();
    await using gateway = await startGateway({ targets: [upstream.url], routes: [{ path: "/a" }] });
    await using client = await gateway.connect();
    await client.write(requestBytes("POST /none HTTP/1.1", ["Content-Length: 3"], "abc"));
    assert.equal((await readAnswer(client)).status, 404);
    await client.write(get("/a"));
    assert.equal((await readAnswer(client)).status, 200);
    await client.write(requestBytes("POST /none HTTP/1.1", ["Content-Length: 3"], "a"));
    assert.equal((await readAnswer(client)).status, 404);
    await client.ended();
  });

  test("an upload that trickles is a 408, while one that we hold back is not", async () => {
    await using upstream = await startUpstream({ onRequest: () => undefined });
    await using gateway = await startGateway({
      targets: [upstream.url],
      routes: [{ path: "/**", minBodyBytesPerSecond: 1_000_000 }],
      clock: fastClock(20),
    });
    await using client = await gateway.connect();
    await client.write(requestBytes("POST /x HTTP/1.1", ["Content-Length: 1000000"], "abc"));
    const answer = await readAnswer(client, { deadlineMs: 10_000 });
    assert.deepEqual([answer.status, problemOf(answer)], [408, "body-too-slow"]);
    const request = await upstream.requestAt(0);
    await waitFor(() => request.state() === "cut", { what: "the cut upstream" });
  });

  test("more requests at once than allowed are a 503 with Retry-After", async () => {
    await using upstream = await startUpstream({ onRequest: () => undefined });
    await using gateway = await startGateway({
      targets: [upstream.url],
      listen: { maxRequestsInFlight: 1 },
    });
    await using first = await gateway.connect();
    await first.write(get("/x"));
    await upstream.requestAt(0);
    const answer = await gateway.ask(get("/y"));
    assert.deepEqual([answer.status, problemOf(answer)], [503, "temporary-reduced-capacity"]);
    assert.match(String(answer.field("retry-after")), /^[1-9]/);
    assert.equal((await gateway.ask(get("/healthz"))).status, 200);
  });

  test("an answer before the end of the upload reaches the client, whose connection then ends", async () => {
    await using upstream = await scripted(
      "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno",
    );
    await using gateway = await startGateway({ targets: [upstream.url] });
    await using client = await gateway.connect();
    await client.write(requestBytes("POST /x HTTP/1.1", ["Content-Length: 1000000"], "abc"));
    const answer = await readAnswer(client);
    assert.deepEqual([answer.status, answer.field("connection")], [401, "close"]);
    await client.ended();
    // The connection upstream is in the middle of a body: it is not used again.
    await gateway.ask(get("/y"));
    assert.equal(upstream.sockets.length, 2);
  });

  test("a whole big download through the road is the same bytes", async () => {
    const payload = randomBytes(5_000_000);
    await using upstream = await startUpstream({
      onRequest: (_request, response) => void response.end(payload),
    });
    await using gateway = await startGateway({ targets: [upstream.url] });
    const answer = await fetch(`http://127.0.0.1:${gateway.port}/x`);
    const digest = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
    assert.equal(digest(new Uint8Array(await answer.arrayBuffer())), digest(payload));
  });
});
