// Requests through the whole gateway to real upstreams, good ones and bad ones, with the bytes on both sides in view.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import type { ServerResponse } from "node:http";
import { describe, test } from "node:test";
import { readAnswer, startRawServer, startUpstream, waitFor } from "@tidegate/testkit";
import { get, requestBytes, startGateway } from "./http-harness.ts";

import { chunk, OK, scripted } from "./scripted-upstream.ts";

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

  test("bytes that wait for slow clients stay what they were, whatever is read for others meanwhile", async () => {
    // More than the kernel's buffers take for one client, in pieces of all sizes up to several reads.
    const pieces = (index: number): Buffer[] =>
      Array.from({ length: 400 }, (_, at) => Buffer.alloc((at * 7_919) % 60_000, index * 50 + at));
    await using upstream = await startUpstream({
      onRequest: ({ target }, response) => {
        const index = Number(target.slice(1));
        const all = pieces(index);
        // Every other one with a length.
        if (index % 2 === 0) response.setHeader("Content-Length", Buffer.concat(all).length);
        for (const piece of all) response.write(piece);
        response.end();
      },
    });
    await using gateway = await startGateway({ targets: [upstream.url] });
    await using stack = new AsyncDisposableStack();
    const clients = await Promise.all([0, 1, 2, 3, 4].map(() => gateway.connect()));
    for (const [index, client] of clients.entries()) {
      stack.use(client);
      client.pause();
      await client.write(get(`/${index}`));
    }
    await isSteady(() => upstream.requests.length);
    for (const client of clients) client.resume();
    for (const [index, client] of clients.entries()) {
      const { body } = await readAnswer(client, { deadlineMs: 20_000 });
      assert.ok(body.equals(Buffer.concat(pieces(index))), `the bytes of /${index}`);
    }
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
      const behindHead = upstream.received(0).toString("latin1").split("\r\n\r\n")[1];
      assert.equal(behindHead, "");
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
