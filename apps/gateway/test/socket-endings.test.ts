import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { manualClock } from "@tidegate/clock";
import { waitFor } from "@tidegate/testkit";
import { OPCODE } from "@tidegate/wire";
import {
  bare,
  closePayload,
  masked,
  openClient,
  readClose,
  readMaskedClose,
  startRawUpstream,
  startRelayGateway,
} from "./socket-harness.ts";

const close = { opcode: OPCODE.close } as const;

describe("a lost client", () => {
  for (const way of ["reset", "halfClose"] as const) {
    test(`(${way}): the upstream gets 1001 behind the last message`, async () => {
      await using upstream = await startRawUpstream();
      await using gateway = await startRelayGateway(upstream.port);
      await using client = await openClient(gateway);
      const socket = await upstream.socket();
      await client.write(masked("last"));
      await upstream.received(masked("last"));
      client[way]();
      await waitFor(() => socket.readableEnded, { what: "the end at the upstream" });
      assert.equal(readMaskedClose(upstream.frames(0).subarray(10)).code, 1001);
      socket.end();
      if (way === "halfClose") assert.equal(await client.ended(), "end");
      const record = await gateway.record();
      assert.deepEqual([record.closeCode, record.endedBy], [1006, "client"]);
    });
  }

  test("inside a message: the upstream is cut, so that it cannot take half for the whole", async () => {
    await using upstream = await startRawUpstream();
    await using gateway = await startRelayGateway(upstream.port);
    await using client = await openClient(gateway);
    const socket = await upstream.socket();
    const half = masked("half a message").subarray(0, 12);
    await client.write(half);
    await upstream.received(half);
    client.halfClose();
    await waitFor(() => socket.readableEnded || socket.closed, { what: "the end at the upstream" });
    assert.deepEqual(upstream.frames(0), half);
  });

  test("that only closed its half still gets the upstream's last words", async () => {
    await using upstream = await startRawUpstream();
    await using gateway = await startRelayGateway(upstream.port);
    await using client = await openClient(gateway);
    const socket = await upstream.socket();
    client.halfClose();
    await waitFor(() => socket.readableEnded, { what: "the end at the upstream" });
    const goodbye = Buffer.concat([bare("goodbye"), bare(closePayload(1001), close)]);
    socket.end(goodbye);
    assert.deepEqual(await client.readToEnd(), goodbye);
    await gateway.record();
  });

  test("whose upstream never ends is let go after the bound", async () => {
    await using upstream = await startRawUpstream();
    const clock = manualClock(0);
    await using gateway = await startRelayGateway(upstream.port, { clock });
    await using client = await openClient(gateway);
    const socket = await upstream.socket();
    client.reset();
    await waitFor(() => socket.readableEnded, { what: "the end at the upstream" });
    clock.advance(4_750);
    assert.equal(gateway.liveSockets.size, 1);
    clock.advance(250);
    await gateway.record();
    assert.equal(gateway.liveSockets.size, 0);
    assert.equal(gateway.endedSessions(), 1);
    // The registry of sessions finds itself empty at its next round.
    clock.advance(250);
    assert.equal(clock.pendingTimers, 0);
  });
});

describe("a lost upstream", () => {
  for (const way of ["end", "resetAndDestroy"] as const) {
    test(`(${way}): the client gets 1011 behind the last message`, async () => {
      await using upstream = await startRawUpstream();
      await using gateway = await startRelayGateway(upstream.port);
      await using client = await openClient(gateway);
      const socket = await upstream.socket();
      socket.write(bare("last"));
      assert.deepEqual(await client.readBytes(6), bare("last"));
      socket[way]();
      assert.deepEqual(readClose(await client.readToEnd()), {
        code: 1011,
        reason: "upstream-lost",
      });
      client.halfClose();
      const record = await gateway.record();
      assert.deepEqual([record.closeCode, record.endedBy], [1011, "upstream"]);
    });
  }

  test("inside a message: the client is cut (1006)", async () => {
    await using upstream = await startRawUpstream();
    await using gateway = await startRelayGateway(upstream.port);
    await using client = await openClient(gateway);
    const half = bare("half a message").subarray(0, 9);
    (await upstream.socket()).end(half);
    assert.deepEqual(await client.readToEnd(), half);
    await gateway.record();
  });
});

describe("a close frame", () => {
  test("without an answer ends both connections after the bound", async () => {
    await using upstream = await startRawUpstream();
    const clock = manualClock(0);
    await using gateway = await startRelayGateway(upstream.port, { clock });
    await using client = await openClient(gateway);
    const bye = masked(closePayload(1000), close);
    await client.write(Buffer.concat([bye, masked("behind the close")]));
    await upstream.received(bye);
    clock.advance(5_000);
    const record = await gateway.record();
    assert.deepEqual([record.closeCode, record.endedBy], [1000, "client"]);
    assert.deepEqual(upstream.frames(0), bye);
  });

  test("of the upstream, answered by the client, ends both at once", async () => {
    await using upstream = await startRawUpstream();
    await using gateway = await startRelayGateway(upstream.port, { clock: manualClock(0) });
    await using client = await openClient(gateway);
    const socket = await upstream.socket();
    socket.write(bare(closePayload(1001, "restart"), close));
    assert.deepEqual(readClose(await client.readBytes(11)), { code: 1001, reason: "restart" });
    await client.write(masked(closePayload(1001), close));
    assert.equal(await client.ended(), "end");
    await waitFor(() => socket.readableEnded, { what: "the end at the upstream" });
    socket.end();
    client.halfClose();
    const record = await gateway.record();
    assert.deepEqual(
      [record.closeCode, record.closeReason, record.endedBy],
      [1001, "", "upstream"],
    );
  });
});

describe("our own close", () => {
  test("of a revoked session comes with 4410 at its next message, which is not passed", async () => {
    await using upstream = await startRawUpstream();
    await using gateway = await startRelayGateway(upstream.port, { clock: manualClock(0) });
    await using client = await openClient(gateway);
    gateway.sessions[0]!.isOpen = false;
    await client.write(masked("too late"));
    assert.deepEqual(readClose(await client.readToEnd()), {
      code: 4410,
      reason: "session-revoked",
    });
    assert.equal(readMaskedClose(upstream.frames(0)).code, 1001);
  });

  test("of a revoked session comes at once when nothing is sent", async () => {
    await using upstream = await startRawUpstream();
    const clock = manualClock(0);
    await using gateway = await startRelayGateway(upstream.port, {
      clock,
      websocket: { closeProfile: "standard" },
    });
    await using client = await openClient(gateway);
    assert.equal(
      gateway.liveSessions.endWhere(() => true, { kind: "revoked" }),
      1,
    );
    assert.equal(readClose(await client.readToEnd()).code, 1008);
  });

  test("inside a half-sent frame cuts both connections", async () => {
    await using upstream = await startRawUpstream();
    const clock = manualClock(0);
    await using gateway = await startRelayGateway(upstream.port, { clock });
    await using client = await openClient(gateway);
    const socket = await upstream.socket();
    const half = bare("half a message").subarray(0, 9);
    socket.write(half);
    assert.deepEqual(await client.readBytes(half.length), half);
    gateway.liveSessions.endWhere(() => true, { kind: "revoked" });
    assert.equal(await client.ended(), "reset");
    await waitFor(() => socket.closed, { what: "the end at the upstream" });
    assert.equal(client.received().length, 0);
    assert.equal((await gateway.record()).closeCode, 4410);
  });

  test("for a drain is 4512, and 1012 in the standard profile", async () => {
    for (const [closeProfile, code] of [
      ["tidegate", 4512],
      ["standard", 1012],
    ] as const) {
      await using upstream = await startRawUpstream();
      await using gateway = await startRelayGateway(upstream.port, { websocket: { closeProfile } });
      await using client = await openClient(gateway);
      const drained = gateway.liveSockets.drain();
      assert.deepEqual(readClose(await client.readToEnd()), {
        code,
        reason: "draining;retryAfter=2",
      });
      client.halfClose();
      (await upstream.socket()).end();
      await drained;
      assert.equal(gateway.records.length, 1);
    }
  });

  test("for a drain waits for the message to end, and cuts when it does not", async () => {
    for (const finishes of [true, false]) {
      await using upstream = await startRawUpstream();
      const clock = manualClock(0);
      await using gateway = await startRelayGateway(upstream.port, { clock });
      await using client = await openClient(gateway);
      const socket = await upstream.socket();
      const message = bare("a message");
      socket.write(message.subarray(0, 6));
      assert.deepEqual(await client.readBytes(6), message.subarray(0, 6));
      void gateway.liveSockets.drain();
      clock.advance(750);
      assert.equal(client.ending(), undefined);
      if (finishes) {
        socket.write(message.subarray(6));
        assert.deepEqual(await client.readBytes(5), message.subarray(6));
        clock.advance(250);
        assert.equal(readClose(await client.readToEnd()).code, 4512);
      } else {
        clock.advance(250);
        assert.equal(await client.ended(), "reset");
      }
    }
  });
});

describe("a silent client", () => {
  test("is pinged, its pongs are kept from the upstream, and others' pongs are not", async () => {
    await using upstream = await startRawUpstream();
    const clock = manualClock(0);
    await using gateway = await startRelayGateway(upstream.port, {
      clock,
      websocket: { pingIntervalMs: 1_000, idleTimeoutMs: 10_000 },
    });
    await using client = await openClient(gateway);
    clock.advance(1_000);
    const ping = await client.readBytes(10);
    assert.deepEqual(ping.subarray(0, 2), Buffer.of(0x89, 8));
    await client.write(masked(ping.subarray(2), { opcode: OPCODE.pong }));
    const foreign = masked("to another", { opcode: OPCODE.pong });
    await client.write(foreign);
    await upstream.received(foreign);
    // It spoke: the next ping is a whole interval away.
    clock.advance(750);
    assert.equal(client.received().length, 0);
    clock.advance(250);
    await client.readBytes(10);
  });

  test("that answers nothing is let go, and no earlier", async () => {
    await using upstream = await startRawUpstream();
    const clock = manualClock(0);
    await using gateway = await startRelayGateway(upstream.port, {
      clock,
      websocket: { pingIntervalMs: 2_000, idleTimeoutMs: 3_000 },
    });
    await using client = await openClient(gateway);
    clock.advance(2_750);
    assert.equal((await client.readBytes(10))[0], 0x89, "a ping came first");
    assert.equal(client.ending(), undefined);
    clock.advance(250);
    assert.deepEqual(readClose(await client.readToEnd()), { code: 1001, reason: "idle" });
    client.halfClose();
    (await upstream.socket()).end();
    assert.equal((await gateway.record()).endedBy, "gateway");
  });
});

describe("a slow reader", () => {
  const CHUNK = bare(Buffer.alloc(60_000, "x"));

  test("among clients stops the upstream, then is reset with nothing more sent", async () => {
    await using upstream = await startRawUpstream();
    const clock = manualClock(0);
    await using gateway = await startRelayGateway(upstream.port, { clock });
    await using client = await openClient(gateway);
    const socket = await upstream.socket();
    client.pause();
    // Enough to fill every kernel buffer on the way.
    for (let count = 0; count < 1_000; count += 1) socket.write(CHUNK);
    await waitFor(() => isStalled(socket), { what: "back-pressure at the upstream" });
    // All but the kernel's buffers and what the relay holds waits in the upstream's own queue.
    assert.ok(socket.writableLength > 40_000_000, `only ${socket.writableLength} bytes wait`);
    clock.advance(4_750);
    assert.equal(gateway.liveSockets.size, 1, "it may take 5 s");
    clock.advance(5_500);
    const record = await gateway.record();
    assert.deepEqual([record.closeCode, record.closeReason], [4503, "slow-reader"]);
    client.resume();
    assert.equal(await client.ended(), "reset");
  });

  test("that goes on reading in time loses nothing", async () => {
    await using upstream = await startRawUpstream();
    await using gateway = await startRelayGateway(upstream.port);
    await using client = await openClient(gateway);
    const socket = await upstream.socket();
    client.pause();
    for (let count = 0; count < 500; count += 1) socket.write(CHUNK);
    await waitFor(() => isStalled(socket), { what: "back-pressure at the upstream" });
    client.resume();
    await waitFor(() => client.receivedBytes() >= 500 * CHUNK.length, {
      what: "everything",
      deadlineMs: 20_000,
    });
    const all = await client.readBytes(500 * CHUNK.length);
    assert.ok(all.subarray(-CHUNK.length).equals(CHUNK));
  });

  test("among upstreams stops the client, which is then told", async () => {
    await using upstream = await startRawUpstream();
    const clock = manualClock(0);
    await using gateway = await startRelayGateway(upstream.port, { clock });
    await using client = await openClient(gateway);
    const socket = await upstream.socket();
    socket.pause();
    const chunk = masked(Buffer.alloc(60_000, "x"));
    for (let count = 0; count < 1_000; count += 1) client.socket.write(chunk);
    await waitFor(() => isStalled(client.socket), { what: "back-pressure at the client" });
    clock.advance(5_250);
    clock.advance(5_250);
    assert.equal((await gateway.record()).closeCode, 4503);
  });
});

/** Whether nothing has left a socket's queue for 200 ms. */
async function isStalled(socket: { readonly writableLength: number }): Promise<boolean> {
  const before = socket.writableLength;
  if (before === 0) return false;
  await new Promise((resolve) => setTimeout(resolve, 200));
  return socket.writableLength === before;
}
