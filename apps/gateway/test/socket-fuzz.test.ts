import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { rawConnection, startRawServer, waitFor } from "@tidegate/testkit";
import {
  bare,
  handshake,
  masked,
  openClient,
  startRawUpstream,
  startRelayGateway,
  switchingProtocols,
} from "./socket-harness.ts";

// Bytes that nobody should send, from either side, cut anywhere and ended in any way: every socket ends, is recorded once
// and given back, and the gateway serves the next one. `TIDEGATE_FUZZ_RUNS` makes the slice longer.

const numRuns = Number(process.env["TIDEGATE_FUZZ_RUNS"] ?? 150);

const frame = fc.record({
  opcode: fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom(0, 1, 2, 8, 9, 10) },
    { weight: 1, arbitrary: fc.nat(15) },
  ),
  isFinal: fc.boolean(),
  reserved: fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, fc.nat(7)),
  payload: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
});
const noise = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
const says = (write: typeof masked) =>
  fc.array(
    fc.oneof(
      { weight: 6, arbitrary: frame.map(({ payload, ...options }) => write(payload, options)) },
      { weight: 1, arbitrary: noise },
    ),
    { maxLength: 12 },
  );
const ending = fc.constantFrom("end", "resetAndDestroy", "destroy");

test("a relay survives what either side may send, and forgets every socket", async () => {
  await using upstream = await startRawUpstream();
  await using gateway = await startRelayGateway(upstream.port, {
    websocket: {
      maxMessageBytes: 400,
      maxFragments: 5,
      limits: [
        {
          kind: "bucket",
          rate: { count: 50, seconds: 1 },
          burst: 4,
          class: "text",
          exceed: "delay",
        },
        {
          kind: "bucket",
          rate: { count: 1, seconds: 1 },
          burst: 4,
          class: "binary",
          exceed: "drop",
        },
      ],
    },
  });
  let sockets = 0;
  await fc.assert(
    fc.asyncProperty(
      says(masked),
      says(bare),
      fc.array(fc.nat(400), { maxLength: 6 }),
      ending,
      ending,
      async (fromClient, fromUpstream, cuts, clientEnds, upstreamEnds) => {
        await using client = await openClient(gateway);
        const socket = await upstream.socket(sockets);
        sockets += 1;
        const up = Buffer.concat(fromClient);
        const down = Buffer.concat(fromUpstream);
        let at = 0;
        for (const cut of cuts.toSorted((a, b) => a - b)) {
          if (!client.socket.destroyed) client.socket.write(up.subarray(at, cut));
          if (!socket.destroyed) socket.write(down.subarray(at, cut));
          at = Math.max(at, cut);
          await new Promise(setImmediate);
        }
        if (!client.socket.destroyed) client.socket.write(up.subarray(at));
        if (!socket.destroyed) socket.write(down.subarray(at));
        socket[upstreamEnds]();
        client.socket[clientEnds]();
        // Neither side says another word: what is left is ours to end.
        await waitFor(() => gateway.records.length === sockets, {
          what: "the record of the socket",
          deadlineMs: 9_000,
        });
      },
    ),
    { numRuns },
  );
  assert.equal(gateway.liveSockets.size, 0);
  assert.equal(gateway.endedSessions(), sockets);
  assert.equal(gateway.records.length, sockets);
  await using client = await openClient(gateway);
  await client.write(masked("still here"));
  await upstream.received(masked("still here"), sockets);
});

test("a handshake survives what either side may answer", async () => {
  const answers: Buffer[] = [];
  await using server = await startRawServer((socket, index) => {
    socket.once("data", (chunk: Buffer) => {
      const key = /sec-websocket-key: (\S+)/i.exec(chunk.toString("latin1"))?.[1] ?? "";
      const answer = answers[index]!;
      // Half of them begin like a real one.
      const start =
        answer.length % 2 === 0
          ? switchingProtocols(key).slice(0, Math.min(120, answer.length))
          : "";
      socket.end(Buffer.concat([Buffer.from(start), answer]));
    });
  });
  await using gateway = await startRelayGateway(server.port);
  let handshakes = 0;
  const head = fc.oneof(
    noise,
    fc
      .constantFrom(
        "HTTP/1.1 101\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        "HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\nzz",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "\r\n\r\n",
      )
      .map((text) => Buffer.from(text)),
  );
  await fc.assert(
    fc.asyncProperty(head, noise, async (answer, early) => {
      answers.push(answer);
      handshakes += 1;
      await using client = await rawConnection(gateway.port);
      await client.write(Buffer.concat([Buffer.from(handshake(gateway.port)), early]));
      await client.ended({ deadlineMs: 9_000 });
      await waitFor(() => gateway.openings.length === handshakes, { what: "the opening" });
      assert.notEqual(gateway.openings.at(-1)?.kind, "open");
    }),
    { numRuns: Math.ceil(numRuns / 2) },
  );
  assert.equal(gateway.endedSessions(), handshakes);
});
