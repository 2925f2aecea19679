// Requests through the whole gateway to real upstreams, good ones and bad ones, with the bytes on both sides in view.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { describe, test } from "node:test";
import {
  freePort,
  readAnswer,
  startRawServer,
  startUpstream,
  waitFor,
  type RawAnswer,
  type RawServer,
} from "@tidegate/testkit";
import { fastClock, get, readProblem, requestBytes, startGateway } from "./http-harness.ts";

const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;
const problemOf = (answer: RawAnswer): string => readProblem(answer).type.replace(/^.*\//, "");

/** An upstream that writes `answer` when a request's head has come, on any connection. */
const scripted = (
  answer: string | ((socket: Socket, index: number, count: number) => void),
): Promise<RawServer> =>
  startRawServer((socket, index) => {
    let count = 0;
    let pending = "";
    socket.on("data", (bytes: Buffer) => {
      pending += bytes.toString("latin1");
      const end = pending.indexOf("\r\n\r\n");
      if (end < 0) return;
      pending = pending.slice(end + 4);
      if (typeof answer === "function") answer(socket, index, count++);
      else socket.write(answer, "latin1");
    });
    socket.on("end", () => socket.end());
  });

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

describe("bodies", () => {
  test("pass both ways as they are, whatever frames them", async () => {
    await using upstream = await startUpstream({
      onRequest: (request, response) => {
        request.message.on("end", () => {
          const body = request.body();
          if (request.target === "/sized") response.setHeader("Content-Length", body.length);
          response.end(body);
        });
      },
    });
    await using gateway = await startGateway({ targets: [upstream.url] });
    await using client = await gateway.connect();
    const payload = randomBytes(100_000);
    for (const path of ["/sized", "/chunked"]) {
      await client.write(
        requestBytes(`POST ${path} HTTP/1.1`, [`Content-Length: ${payload.length}`]),
      );
      await client.write(payload);
      assert.deepEqual((await readAnswer(client)).body, payload);
      await client.write(requestBytes(`POST ${path} HTTP/1.1`, ["Transfer-Encoding: chunked"]));
      for (let at = 0; at < payload.length; at += 9_999) {
        const piece = payload.subarray(at, at + 9_999);
        await client.write(`${piece.length.toString(16)};x=y\r\n`);
        await client.write(piece);
        await client.write("\r\n");
      }
      await client.write("0\r\n\r\n");
      assert.deepEqual((await readAnswer(client)).body, payload);
    }
    assert.equal(new Set(upstream.requests.map((request) => request.connection)).size, 1);
  });

  // What the kernel's buffers and two of ours take is far below half of this.
  const total = 48 * 1_024 * 1_024;
  const block = Buffer.alloc(64 * 1_024, "x");
  const mostHeldBytes = 8 * 1_024 * 1_024;

  test("a big upload to a slow upstream is not held in memory, and then arrives whole", async () => {
    await using upstream = await startRawServer((socket) => {
      socket.once("data", () => socket.pause());
    });
    await using gateway = await startGateway({
      targets: [upstream.url],
      routes: [{ path: "/**", maxBodyBytes: total }],
    });
    const before = process.memoryUsage().arrayBuffers;
    await using client = await gateway.connect();
    await client.write(requestBytes("POST /up HTTP/1.1", [`Content-Length: ${total}`]));
    const socket = await upstream.socketAt(0);
    await waitFor(() => socket.isPaused(), { what: "the upstream to stop reading" });
    let sent = 0;
    const push = (): void => {
      while (sent < total) {
        sent += block.length;
        if (!client.socket.write(block)) return;
      }
    };
    client.socket.on("drain", push);
    push();
    await isSteady(() => sent);
    assert.equal(client.receivedBytes(), 0);
    assert.ok(sent < total / 2, `${sent} bytes were taken for an upstream that reads nothing`);
    assert.ok(process.memoryUsage().arrayBuffers - before < mostHeldBytes);
    let arrived = 0;
    socket.removeAllListeners("data");
    socket.on("data", (bytes: Buffer) => void (arrived += bytes.length));
    socket.resume();
    // The head may have come with or without first bytes of the body.
    const headBytes = upstream.received(0).indexOf("\r\n\r\n") + 4;
    const early = upstream.received(0).length - headBytes;
    await waitFor(() => arrived + early === total, {
      what: "the whole upload",
      deadlineMs: 20_000,
    });
  });

  test("a big download to a slow client is not held in memory, and then arrives whole", async () => {
    let taken = 0;
    await using upstream = await startUpstream({
      onRequest: (_request, response) => {
        const push = (): void => {
          while (taken < total) {
            taken += block.length;
            if (!response.write(block)) {
              response.once("drain", push);
              return;
            }
          }
          response.end();
        };
        response.setHeader("Content-Length", total);
        push();
      },
    });
    await using gateway = await startGateway({ targets: [upstream.url] });
    const before = process.memoryUsage().arrayBuffers;
    await using client = await gateway.connect();
    client.pause();
    await client.write(get("/down"));
    await isSteady(() => taken);
    assert.ok(taken < total / 2, `${taken} bytes were taken for a client that reads nothing`);
    assert.ok(process.memoryUsage().arrayBuffers - before < mostHeldBytes);
    client.resume();
    const answer = await readAnswer(client, { deadlineMs: 20_000 });
    assert.equal(answer.body.length, total);
  });

  test("server-sent events come one by one, at once", async () => {
    let stream: ServerResponse | undefined;
    await using upstream = await startUpstream({
      onRequest: (_request, response) => {
        response.writeHead(200, { "Content-Type": "text/event-stream" });
        response.flushHeaders();
        stream = response;
      },
    });
    await using gateway = await startGateway({ targets: [upstream.url] });
    await using client = await gateway.connect();
    await client.write(get("/events"));
    await client.readUntil("\r\n\r\n");
    for (const event of ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"]) {
      stream?.write(event);
      assert.equal((await client.readUntil("\n\n\r\n")).toString(), chunk(event));
    }
  });

  test("trailers pass both ways, and what may not stand in them does not", async () => {
    await using upstream = await startUpstream({
      onRequest: (request, response) => {
        request.message.on("end", () => {
          response.writeHead(200, { Trailer: "X-Sum" });
          response.write("body");
          response.addTrailers([
            ["X-Sum", "2"],
            ["Set-Cookie", "__Host-tidegate=1"],
            ["Tidegate-Assertion", "forged"],
            ["Content-Length", "1"],
          ]);
          response.end();
        });
      },
    });
    await using gateway = await startGateway({ targets: [upstream.url] });
    await using client = await gateway.connect();
    const forged = [
      "Tidegate-Assertion: x",
      "tidegate_assertion: x",
      "X-Forwarded-For: 1.1.1.1",
      "x_forwarded_for: 1.1.1.1",
      "Forwarded: for=x",
      "Authorization: Basic YTpi",
      "Cookie: a=b",
      "X-Real-IP: 1.1.1.1",
      "Keep-Alive: 5",
      "Host: evil.example",
    ];
    await client.write(
      requestBytes(
        "POST /x HTTP/1.1",
        ["Transfer-Encoding: chunked", "Trailer: X-Sum", "TE: trailers"],
        `${chunk("abc")}0\r\nX-Sum: 1\r\n${forged.join("\r\n")}\r\n\r\n`,
      ),
    );
    const answer = await readAnswer(client);
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.trailers, [["X-Sum", "2"]]);
    const request = await upstream.requestAt(0, { isWhole: true });
    assert.deepEqual(request.trailers(), [["X-Sum", "1"]]);
    assert.deepEqual(request.values("TE"), ["trailers"]);
    assert.deepEqual(request.values("Trailer"), ["X-Sum"]);
  });

  test("answers to HEAD, and 204 and 304, have no body and keep the connection", async () => {
    await using upstream = await scripted((socket, _index, count) => {
      const answers = [
        "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n',
        OK,
      ];
      socket.write(answers[count] ?? "");
    });
    await using gateway = await startGateway({ targets: [upstream.url] });
    await using client = await gateway.connect();
    await client.write(requestBytes("HEAD /x HTTP/1.1"));
    const head = await readAnswer(client, { method: "HEAD" });
    assert.deepEqual([head.status, head.field("content-length")], [200, "1234"]);
    await client.write(requestBytes("DELETE /x HTTP/1.1"));
    const empty = await readAnswer(client);
    assert.deepEqual([empty.status, empty.field("content-length")], [204, undefined]);
    assert.equal(empty.field("transfer-encoding"), undefined);
    await client.write(get("/x"));
    assert.deepEqual([(await readAnswer(client)).status], [304]);
    await client.write(get("/x"));
    assert.equal((await readAnswer(client)).body.toString(), "ok");
    assert.equal(upstream.sockets.length, 1);
  });

  test("informational answers pass, with fields that would break a map, and never to HTTP/1.0", async () => {
    await using upstream = await scripted(
      "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n__proto__: x\r\nconstructor: y\r\n" +
        `Tidegate-Connection: forged\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n${OK}`,
    );
    await using gateway = await startGateway({ targets: [upstream.url] });
    await using client = await gateway.connect();
    await client.write(get("/x"));
    const hints = await readAnswer(client);
    assert.equal(hints.status, 103);
    assert.equal(hints.field("link"), "</a.css>; rel=preload");
    assert.equal(hints.field("tidegate-connection"), undefined);
    assert.equal((await readAnswer(client)).status, 102);
    assert.equal((await readAnswer(client)).body.toString(), "ok");
    const old = await gateway.ask(requestBytes("GET /x HTTP/1.0"));
    assert.equal(old.status, 200);
  });

  test("HTTP/1.0 clients get no chunks, and a reset when a body is not whole", async () => {
    let isCut = false;
    await using upstream = await scripted((socket) => {
      socket.write(
        `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n${chunk("abc")}`,
      );
      if (isCut) setImmediate(() => socket.destroy());
      else socket.write("0\r\nX: y\r\n\r\n");
    });
    await using gateway = await startGateway({ targets: [upstream.url] });
    const whole = await gateway.ask(requestBytes("GET /x HTTP/1.0"));
    assert.deepEqual([whole.body.toString(), whole.field("transfer-encoding")], ["abc", undefined]);
    isCut = true;
    await using client = await gateway.connect();
    await client.write(requestBytes("GET /x HTTP/1.0"));
    assert.equal(await client.ended(), "reset");
  });
});

describe("Expect: 100-continue", () => {
  const upload = requestBytes("POST /x HTTP/1.1", ["Content-Length: 3", "Expect: 100-continue"]);

  test("the upstream's 100 starts the upload", async () => {
    let say: () => void = () => undefined;
    await using upstream = await startRawServer((socket) => {
      say = () => socket.write("HTTP/1.1 100 Continue\r\n\r\n");
      socket.on("data", (bytes: Buffer) => bytes.toString().endsWith("abc") && socket.write(OK));
    });
    await using gateway = await startGateway({ targets: [upstream.url] });
    await using client = await gateway.connect();
    await client.write(upload);
    await waitFor(() => upstream.received(0).includes("Expect: 100-continue"), {
      what: "the head",
    });
    assert.equal(client.receivedBytes(), 0);
    say();
    assert.equal((await readAnswer(client)).status, 100);
    await client.write("abc");
    assert.equal((await readAnswer(client)).body.toString(), "ok");
    await client.write(get("/again"));
    assert.ok((await upstream.socketAt(0)).writable);
  });

  for (const refusal of [
    "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno",
    "HTTP/1.1 417 Expectation Failed\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
  ])
    test(`a refusal before the body reaches the client, without 100: ${refusal.slice(9, 12)}`, async () => {
      await using upstream = await scripted(refusal);
      await using gateway = await startGateway({ targets: [upstream.url] });
      await using client = await gateway.connect();
      await client.write(upload);
      const answer = await readAnswer(client);
      assert.deepEqual(
        [answer.status, answer.body.toString()],
        [Number(refusal.slice(9, 12)), "no"],
      );
      assert.equal(answer.field("connection"), "close");
      await client.ended();
      assert.ok(!upstream.received(0).includes("abc"));
    });

  test("an upstream that ignores it is not waited for for ever", async () => {
    await using silent = await startRawServer((socket) => {
      socket.on("data", (bytes: Buffer) => bytes.toString().endsWith("abc") && socket.write(OK));
    });
    await using gateway = await startGateway({ targets: [silent.url] });
    await using client = await gateway.connect();
    await client.write(upload);
    assert.equal((await readAnswer(client)).status, 100);
    await client.write("abc");
    assert.equal((await readAnswer(client)).body.toString(), "ok");
  });

  test("a client that sends the body at once is served, and one without body gets no 100", async () => {
    await using upstream = await startUpstream();
    await using gateway = await startGateway({ targets: [upstream.url] });
    await using client = await gateway.connect();
    await client.write(`${upload}abc`);
    const first = await readAnswer(client);
    const answer = first.status === 100 ? await readAnswer(client) : first;
    assert.equal(JSON.parse(answer.body.toString()).bodyBytes, 3);
    const none = await gateway.ask(get("/x", ["Expect: 100-continue"]));
    assert.equal(none.status, 200);
  });
});

describe("what is not whole", () => {
  test("a client that leaves cancels its request upstream", async () => {
    await using upstream = await startUpstream({ onRequest: () => undefined });
    await using gateway = await startGateway({ targets: [upstream.url] });
    for (const leave of ["reset", "halfClose"] as const) {
      const client = await gateway.connect();
      await client.write(get("/x"));
      await waitFor(() => upstream.openConnections() === 1, { what: "the request upstream" });
      client[leave]();
      await waitFor(() => upstream.openConnections() === 0, { what: "the end of it upstream" });
    }
    const lines = await gateway.loggedAtLeast("request", 2);
    assert.deepEqual(
      lines.map((line) => line["status"]),
      [499, 499],
    );
  });

  for (const [name, fields, part] of [
    ["declared", ["Content-Length: 10"], "abc"],
    ["chunked, inside a chunk", ["Transfer-Encoding: chunked"], "a\r\nabc"],
    ["chunked, between chunks", ["Transfer-Encoding: chunked"], "3\r\nabc\r\n"],
    ["chunked, before the last line", ["Transfer-Encoding: chunked"], "3\r\nabc\r\n0\r\n"],
  ] as const)
    for (const leave of ["reset", "halfClose"] as const)
      test(`a cut upload (${name}; ${leave}) is never whole upstream`, async () => {
        await using upstream = await startUpstream({ onRequest: () => undefined });
        await using gateway = await startGateway({ targets: [upstream.url] });
        await using client = await gateway.connect();
        await client.write(requestBytes("POST /x HTTP/1.1", fields, part));
        const request = await upstream.requestAt(0);
        await waitFor(() => request.body().toString() === "abc", { what: "the part upstream" });
        client[leave]();
        await waitFor(() => request.state() === "cut", { what: "the cut upstream" });
      });

  for (const [name, answer] of [
    ["shorter than its length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"],
    ["longer than its length", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd"],
    [
      "without its last chunk",
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunk("abc")}`,
    ],
    [
      "broken in its chunks",
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunk("abc")}x\r\n`,
    ],
    [
      "with bytes behind its last chunk",
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunk("abc")}0\r\n\r\nx`,
    ],
  ] as const)
    test(`an answer ${name} destroys the client's connection`, async () => {
      await using upstream = await scripted((socket) => {
        socket.write(answer);
        socket.end();
      });
      await using gateway = await startGateway({ targets: [upstream.url] });
      await using client = await gateway.connect();
      await client.write(get("/x"));
      await assert.rejects(readAnswer(client), /came first/);
      const [line] = await gateway.loggedAtLeast("request", 1);
      assert.ok(line?.["fault"] === "upstream_ended" || line?.["fault"] === "upstream_garbage");
    });

  for (const [name, answer] of [
    ["no HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n"],
    ["two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"],
    [
      "a length with chunks",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    ["an upgrade that nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"],
    ["fields without end", `HTTP/1.1 200 OK\r\n${"X: y\r\n".repeat(400)}`],
    ["a split header", "HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\n\r\n"],
  ] as const)
    test(`an answer with ${name} is a 502, and says no more than that`, async () => {
      await using upstream = await scripted(answer);
      await using gateway = await startGateway({
        targets: [upstream.url],
        upstream: { maxAnswerHeaderBytes: 2_048 },
      });
      const refused = await gateway.ask(get("/x"));
      assert.equal(refused.status, 502);
      assert.equal(problemOf(refused), "upstream-garbage");
      assert.equal(readProblem(refused)["detail"], undefined);
      const fine = await gateway.ask(get("/x"));
      assert.equal(fine.status, 502);
    });
});

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

/** Waits until a count has not moved for 300 ms: only then it is known what back-pressure holds back. */
async function isSteady(read: () => number): Promise<void> {
  let last = -1;
  let sinceMs = performance.now();
  await waitFor(
    () => {
      const now = read();
      if (now !== last) sinceMs = performance.now();
      last = now;
      return now > 0 && performance.now() - sinceMs > 300;
    },
    { what: "a steady count", everyMs: 20, deadlineMs: 15_000 },
  );
}
