import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { manualClock } from "@tidegate/clock";
import { waitFor } from "@tidegate/testkit";
import { OPCODE } from "@tidegate/wire";
import { VERDICT } from "../src/judge/verdict.ts";
import {
  bare,
  masked,
  openClient,
  readClose,
  startRawUpstream,
  startRelayGateway,
  TOWARDS,
} from "./socket-harness.ts";

const TEXT = 0;
const CONTROL = 2;

/** Two at once, then one a second. */
const two = { kind: "bucket", rate: { count: 1, seconds: 1 }, burst: 2 } as const;

describe("a limit that closes", () => {
  test("ends the socket with 4429 and the wait, behind what was admitted", async () => {
    await using upstream = await startRawUpstream();
    await using gateway = await startRelayGateway(upstream.port, {
      websocket: { limits: [{ ...two, exceed: "close" }] },
    });
    await using client = await openClient(gateway);
    await client.write(Buffer.concat([masked("1"), masked("2"), masked("3")]));
    assert.deepEqual(readClose(await client.readToEnd()), {
      code: 4429,
      reason: "limit;retryAfter=1;reauthenticate=0",
    });
    client.halfClose();
    await waitFor(() => upstream.frames(0).length > 14, { what: "both messages" });
    assert.deepEqual(upstream.frames(0).subarray(0, 14), Buffer.concat([masked("1"), masked("2")]));
    assert.equal(gateway.counters[TOWARDS.upstream][VERDICT.throttle * 3 + TEXT], 1);
  });

  test("speaks RFC 6455 in the standard profile", async () => {
    await using upstream = await startRawUpstream();
    await using gateway = await startRelayGateway(upstream.port, {
      websocket: { closeProfile: "standard", limits: [{ ...two, exceed: "close" }] },
    });
    await using client = await openClient(gateway);
    await client.write(Buffer.concat([masked("1"), masked("2"), masked("3")]));
    assert.equal(readClose(await client.readToEnd()).code, 1013);
  });

  test("ends a ping flood by the limit of its own class, and spares text", async () => {
    await using upstream = await startRawUpstream();
    await using gateway = await startRelayGateway(upstream.port, {
      websocket: { limits: [{ ...two, class: "control", exceed: "close" }] },
    });
    await using client = await openClient(gateway);
    const texts = Array.from({ length: 100 }, (_, at) => masked(`text ${at}`));
    await client.write(Buffer.concat(texts));
    await upstream.received(Buffer.concat(texts));
    const pings = Array.from({ length: 1_000 }, () => masked("", { opcode: OPCODE.ping }));
    await client.write(Buffer.concat(pings));
    assert.equal(readClose(await client.readToEnd()).code, 4429);
    client.halfClose();
    const record = await gateway.record();
    assert.equal(record.messages[TOWARDS.upstream][CONTROL], 2);
  });

  test("counts the upstream's messages where told so", async () => {
    await using upstream = await startRawUpstream();
    await using gateway = await startRelayGateway(upstream.port, {
      websocket: { limits: [{ ...two, from: "upstream", exceed: "close" }] },
    });
    await using client = await openClient(gateway);
    (await upstream.socket()).write(Buffer.concat([bare("1"), bare("2"), bare("3")]));
    const received = await client.readToEnd();
    assert.deepEqual(received.subarray(0, 6), Buffer.concat([bare("1"), bare("2")]));
    assert.equal(readClose(received.subarray(6)).code, 4429);
  });

  test("on bytes is crossed in a later frame: the client is told, the half message cut", async () => {
    await using upstream = await startRawUpstream();
    await using gateway = await startRelayGateway(upstream.port, {
      websocket: {
        limits: [
          {
            kind: "bucket",
            rate: { count: 1, seconds: 1 },
            burst: 100,
            cost: "byte",
            exceed: "drop",
          },
        ],
      },
    });
    await using client = await openClient(gateway);
    const first = masked("a".repeat(80), { isFinal: false });
    await client.write(
      Buffer.concat([first, masked("b".repeat(40), { opcode: OPCODE.continuation })]),
    );
    assert.equal(readClose(await client.readToEnd()).code, 4429);
    client.halfClose();
    await gateway.record();
    assert.deepEqual(upstream.frames(0), first);
  });

  test("closes with 4413 what the limit can never hold", async () => {
    await using upstream = await startRawUpstream();
    await using gateway = await startRelayGateway(upstream.port, {
      websocket: {
        limits: [
          {
            kind: "bucket",
            rate: { count: 1, seconds: 1 },
            burst: 100,
            cost: "byte",
            exceed: "delay",
          },
        ],
      },
    });
    await using client = await openClient(gateway);
    await client.write(masked("a".repeat(101)));
    assert.equal(readClose(await client.readToEnd()).code, 4413);
  });
});

describe("a limit that drops", () => {
  test("leaves out whole messages, later fragments too, and keeps control frames between them", async () => {
    await using upstream = await startRawUpstream();
    await using gateway = await startRelayGateway(upstream.port, {
      websocket: { limits: [{ ...two, class: "text", exceed: "drop" }] },
    });
    await using client = await openClient(gateway);
    const ping = masked("in between", { opcode: OPCODE.ping });
    const binary = masked("binary", { opcode: OPCODE.binary });
    await client.write(
      Buffer.concat([
        masked("1"),
        masked("2"),
        masked("dropped ", { isFinal: false }),
        ping,
        masked("in ", { opcode: OPCODE.continuation, isFinal: false }),
        masked("pieces", { opcode: OPCODE.continuation }),
        binary,
        masked("dropped too"),
        binary,
      ]),
    );
    await upstream.received(Buffer.concat([masked("1"), masked("2"), ping, binary, binary]));
    client.reset();
    (await upstream.socket()).destroy();
    const record = await gateway.record();
    assert.deepEqual([...record.dropped[TOWARDS.upstream]], [2, 0, 0]);
    assert.deepEqual([...record.messages[TOWARDS.upstream]], [2, 2, 1]);
  });

  test("skips the payload of a dropped message as it comes, in pieces", async () => {
    await using upstream = await startRawUpstream();
    await using gateway = await startRelayGateway(upstream.port, {
      websocket: { limits: [{ ...two, exceed: "drop" }] },
    });
    await using client = await openClient(gateway);
    await client.write(Buffer.concat([masked("1"), masked("2")]));
    const big = masked(Buffer.alloc(1_000_000, "x"));
    await client.write(big.subarray(0, 500_000));
    await client.write(big.subarray(500_000));
    const ping = masked("end", { opcode: OPCODE.ping });
    await client.write(ping);
    await upstream.received(Buffer.concat([masked("1"), masked("2"), ping]));
  });
});

describe("a limit that delays", () => {
  test("holds a message until it may pass, keeps the order, and writes down the wait", async () => {
    await using upstream = await startRawUpstream();
    const clock = manualClock(1_000);
    await using gateway = await startRelayGateway(upstream.port, {
      clock,
      websocket: { limits: [{ ...two, exceed: "delay" }] },
    });
    await using client = await openClient(gateway);
    const all = ["1", "2", "3", "4"].map((text) => masked(text));
    await client.write(Buffer.concat(all));
    await upstream.received(Buffer.concat(all.slice(0, 2)));
    clock.advance(1_000);
    await upstream.received(Buffer.concat(all.slice(0, 3)));
    clock.advance(1_000);
    await upstream.received(Buffer.concat(all));
    assert.equal(gateway.counters[TOWARDS.upstream][VERDICT.throttle * 3 + TEXT], 2);
    client.reset();
    (await upstream.socket()).destroy();
    const record = await gateway.record();
    assert.equal(record.delayedMs, 2_000);
    assert.equal(record.messages[TOWARDS.upstream][TEXT], 4);
  });

  test("does not hold up the other direction", async () => {
    await using upstream = await startRawUpstream();
    await using gateway = await startRelayGateway(upstream.port, {
      clock: manualClock(0),
      websocket: { limits: [{ ...two, exceed: "delay" }] },
    });
    await using client = await openClient(gateway);
    await client.write(Buffer.concat([masked("1"), masked("2"), masked("3")]));
    await upstream.received(Buffer.concat([masked("1"), masked("2")]));
    (await upstream.socket()).write(bare("still here"));
    assert.deepEqual(await client.readBytes(12), bare("still here"));
  });

  test("closes with the limit's code when the longest pause is over", async () => {
    await using upstream = await startRawUpstream();
    const clock = manualClock(0);
    await using gateway = await startRelayGateway(upstream.port, {
      clock,
      websocket: {
        maxDelayMs: 1_500,
        limits: [{ kind: "bucket", rate: { count: 1, seconds: 60 }, burst: 1, exceed: "delay" }],
      },
    });
    await using client = await openClient(gateway);
    await client.write(Buffer.concat([masked("1"), masked("2")]));
    await upstream.received(masked("1"));
    clock.advance(1_499);
    assert.equal(gateway.liveSockets.size, 1);
    clock.advance(1);
    assert.deepEqual(readClose(await client.readToEnd()), {
      code: 4429,
      reason: "limit;retryAfter=59;reauthenticate=0",
    });
  });

  test("stops reading: what the client sends meanwhile stays with it", async () => {
    await using upstream = await startRawUpstream();
    await using gateway = await startRelayGateway(upstream.port, {
      clock: manualClock(0),
      websocket: { limits: [{ ...two, exceed: "delay" }] },
    });
    await using client = await openClient(gateway);
    await client.write(Buffer.concat([masked("1"), masked("2"), masked("3")]));
    await upstream.received(Buffer.concat([masked("1"), masked("2")]));
    // Far more than the kernel's buffers and ours: the rest must stay in the client's own queue.
    client.socket.write(Buffer.alloc(64 * 1_048_576));
    await waitFor(() => client.socket.writableLength > 16 * 1_048_576, { what: "back-pressure" });
  });
});

test("limits on fragments charge messages once and bytes frame by frame", async () => {
  await using upstream = await startRawUpstream();
  await using gateway = await startRelayGateway(upstream.port, {
    websocket: {
      limits: [
        { ...two, exceed: "close" },
        {
          kind: "bucket",
          rate: { count: 1, seconds: 1 },
          burst: 30,
          cost: "byte",
          exceed: "close",
        },
      ],
    },
  });
  await using client = await openClient(gateway);
  const frames = [
    masked("0123456789", { isFinal: false }),
    masked("0123456789", { opcode: OPCODE.continuation, isFinal: false }),
    masked("01234", { opcode: OPCODE.continuation }),
    masked("56789"),
  ];
  await client.write(Buffer.concat(frames));
  await upstream.received(Buffer.concat(frames));
  assert.equal(gateway.liveSockets.size, 1);
});
