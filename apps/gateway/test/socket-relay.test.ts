import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, test } from "node:test";
import { startUpstream, waitFor } from "@tidegate/testkit";
import { OPCODE } from "@tidegate/wire";
import { WebSocket as WsClient } from "ws";
import { VERDICT } from "../src/judge/verdict.ts";
import {
  bare,
  closePayload,
  masked,
  openClient,
  readClose,
  readMaskedClose,
  startRawUpstream,
  startRelayGateway,
  TOWARDS,
} from "./socket-harness.ts";

const CLASS = { text: 0, binary: 1, control: 2 } as const;

describe("a client that breaks the framing", () => {
  const cases: readonly (readonly [string, Buffer, number, string])[] = [
    ["an unmasked frame", bare("hi"), 1002, "mask-missing"],
    ["a length of 2^63", Buffer.from("82ff8000000000000000", "hex"), 1002, "length-negative"],
    ["a length of 2^62", Buffer.from("82ff4000000000000000", "hex"), 4413, "message-too-big"],
    [
      "a length not in its shortest form",
      Buffer.from("81fe0001", "hex"),
      1002,
      "length-not-minimal",
    ],
    ["RSV1 without compression", masked("x", { reserved: 4 }), 1002, "reserved-bits"],
    ["RSV2", masked("x", { reserved: 2 }), 1002, "reserved-bits"],
    ["opcode 5", masked("x", { opcode: 5 }), 1002, "reserved-opcode"],
    [
      "a fragmented ping",
      masked("x", { opcode: OPCODE.ping, isFinal: false }),
      1002,
      "fragmented-control",
    ],
    ["a ping of 126 bytes", masked("x".repeat(126), { opcode: OPCODE.ping }), 1002, "long-control"],
    [
      "close code 1005 on the wire",
      masked(closePayload(1005), { opcode: OPCODE.close }),
      1002,
      "close-code",
    ],
    ["a close of one byte", masked("x", { opcode: OPCODE.close }), 1002, "close-payload"],
    [
      "a close reason that is no UTF-8",
      masked(Buffer.concat([closePayload(1000), Buffer.of(0xff)]), { opcode: OPCODE.close }),
      1007,
      "close-reason",
    ],
  ];
  for (const [name, bytes, code, reason] of cases) {
    test(`${name} gets ${code}, and the upstream only what was right`, async () => {
      await using upstream = await startRawUpstream();
      await using gateway = await startRelayGateway(upstream.port);
      await using client = await openClient(gateway);
      await client.write(Buffer.concat([masked("before"), bytes, masked("behind")]));
      assert.deepEqual(readClose(await client.readToEnd()), { code, reason });
      await waitFor(() => upstream.frames(0).length >= 12 + 8, {
        what: "the close at the upstream",
      });
      assert.deepEqual(upstream.frames(0).subarray(0, 12), masked("before"));
      assert.equal(readMaskedClose(upstream.frames(0).subarray(12)).code, 1001);
    });
  }

  test("a fragment flood ends at the bound", async () => {
    await using upstream = await startRawUpstream();
    await using gateway = await startRelayGateway(upstream.port, {
      websocket: { maxFragments: 100 },
    });
    await using client = await openClient(gateway);
    const later = masked("", { opcode: OPCODE.continuation, isFinal: false });
    await client.write(
      Buffer.concat([masked("", { isFinal: false }), ...Array.from({ length: 200 }, () => later)]),
    );
    assert.deepEqual(readClose(await client.readToEnd()), {
      code: 4413,
      reason: "message-too-big",
    });
    client.halfClose();
    // The upstream has half a message: only a cut says so.
    const { closeCode, endedBy } = await gateway.record();
    assert.deepEqual([closeCode, endedBy], [4413, "gateway"]);
    assert.equal(upstream.frames(0).length, 100 * 6);
  });

  test("a message beyond the bound ends at the frame that crosses it, 1009 in the standard profile", async () => {
    await using upstream = await startRawUpstream();
    await using gateway = await startRelayGateway(upstream.port, {
      websocket: { maxMessageBytes: 100, closeProfile: "standard" },
    });
    await using client = await openClient(gateway);
    const first = masked("a".repeat(60), { isFinal: false });
    await client.write(first);
    await upstream.received(first);
    await client.write(masked("b".repeat(41), { opcode: OPCODE.continuation }));
    assert.equal(readClose(await client.readToEnd()).code, 1009);
    client.halfClose();
    await gateway.record();
    assert.equal(upstream.frames(0).length, first.length);
  });
});

describe("an upstream that breaks the framing", () => {
  for (const [name, bytes, code] of [
    ["a masked frame", masked("hi"), 1002],
    ["RSV1 without compression", bare("x", { reserved: 4 }), 1002],
    ["a message beyond the bound", Buffer.from("827f0000000010000000", "hex"), 1009],
  ] as const) {
    test(`${name}: the client gets 1011 and what was right, the upstream ${code}`, async () => {
      await using upstream = await startRawUpstream();
      await using gateway = await startRelayGateway(upstream.port);
      await using client = await openClient(gateway);
      (await upstream.socket()).write(Buffer.concat([bare("before"), bytes]));
      const received = await client.readToEnd();
      assert.deepEqual(received.subarray(0, 8), bare("before"));
      assert.deepEqual(readClose(received.subarray(8)), { code: 1011, reason: "upstream-failed" });
      await waitFor(() => upstream.frames(0).length > 0, { what: "the close at the upstream" });
      assert.equal(readMaskedClose(upstream.frames(0)).code, code);
    });
  }
});

describe("a relay", () => {
  test("hands on 10,000 chunks of one byte, both ways, unchanged", async () => {
    await using upstream = await startRawUpstream();
    await using gateway = await startRelayGateway(upstream.port);
    await using client = await openClient(gateway);
    const socket = await upstream.socket();
    const messages = Array.from({ length: 500 }, (_, at) => `message ${at} `);
    const up = Buffer.concat(messages.map((text) => masked(text)));
    const down = Buffer.concat(messages.map((text) => bare(text, { opcode: OPCODE.binary })));
    assert.ok(up.length >= 8_000 && down.length >= 6_000);
    for (let at = 0; at < up.length; at += 1) {
      client.socket.write(up.subarray(at, at + 1));
      if (at < down.length) socket.write(down.subarray(at, at + 1));
    }
    await upstream.received(up);
    assert.deepEqual(await client.readBytes(down.length), down);
    assert.equal(gateway.counters[TOWARDS.upstream][VERDICT.admit * 3 + CLASS.text], 500);
    assert.equal(gateway.counters[TOWARDS.client][VERDICT.admit * 3 + CLASS.binary], 500);
  });

  test("counts messages and bytes by class, and says in its record who ended it", async () => {
    await using upstream = await startRawUpstream();
    await using gateway = await startRelayGateway(upstream.port);
    await using client = await openClient(gateway);
    const socket = await upstream.socket();
    await client.write(
      Buffer.concat([
        masked("12345"),
        masked("ab", { opcode: OPCODE.binary, isFinal: false }),
        masked("now", { opcode: OPCODE.ping }),
        masked("cd", { opcode: OPCODE.continuation }),
      ]),
    );
    await waitFor(() => upstream.frames(0).length > 0, { what: "frames" });
    socket.write(bare("now", { opcode: OPCODE.pong }));
    assert.deepEqual(await client.readBytes(5), bare("now", { opcode: OPCODE.pong }));
    const bye = masked(closePayload(4000, "bye"), { opcode: OPCODE.close });
    await client.write(bye);
    await waitFor(() => upstream.frames(0).subarray(-bye.length).equals(bye), {
      what: "the close",
    });
    socket.write(bare(closePayload(4000), { opcode: OPCODE.close }));
    assert.deepEqual(readClose(await client.readToEnd()), { code: 4000, reason: "" });
    client.halfClose();
    socket.end();
    const record = await gateway.record();
    assert.deepEqual([record.closeCode, record.closeReason, record.endedBy], [4000, "", "client"]);
    assert.deepEqual([...record.messages[TOWARDS.upstream]], [1, 1, 2]);
    assert.deepEqual([...record.bytes[TOWARDS.upstream]], [5, 4, 3 + 5]);
    assert.deepEqual([...record.messages[TOWARDS.client]], [0, 0, 2]);
    assert.equal(gateway.endedSessions(), 1);
    assert.equal(gateway.liveSockets.size, 0);
  });

  for (const [name, open] of [
    ["the ws package", (url: string) => openWs(url)],
    ["Node's own WebSocket", (url: string) => openStandard(url)],
  ] as const) {
    test(`carries an echo of 2,000 messages and a close for ${name}`, async () => {
      await using upstream = await startUpstream();
      await using gateway = await startRelayGateway(upstream.port);
      const client = await open(`ws://127.0.0.1:${gateway.port}/live`);
      const sent = Array.from(
        { length: 2_000 },
        (_, at) => `message ${at} ${"x".repeat((at * 7) % 300)}`,
      );
      for (const text of sent) client.send(text);
      await waitFor(() => client.received.length === sent.length, { what: "the echo" });
      assert.deepEqual(client.received, sent);
      client.close();
      assert.equal(await client.closed, 4321);
      const record = await gateway.record();
      assert.deepEqual([record.closeCode, record.endedBy], [4321, "client"]);
    });
  }
});

interface TestClient {
  readonly received: string[];
  readonly closed: Promise<number>;
  send(text: string): void;
  close(): void;
}

async function openWs(url: string): Promise<TestClient> {
  const webSocket = new WsClient(url);
  const received: string[] = [];
  webSocket.on("message", (data: Buffer) => received.push(data.toString()));
  const { promise: closed, resolve } = Promise.withResolvers<number>();
  webSocket.on("close", resolve);
  await once(webSocket, "open");
  return {
    received,
    closed,
    send: (text) => webSocket.send(text),
    close: () => webSocket.close(4321),
  };
}

async function openStandard(url: string): Promise<TestClient> {
  const webSocket = new WebSocket(url);
  const received: string[] = [];
  webSocket.addEventListener("message", ({ data }) => received.push(String(data)));
  const { promise: closed, resolve } = Promise.withResolvers<number>();
  webSocket.addEventListener("close", ({ code }) => resolve(code));
  await once(webSocket, "open");
  return {
    received,
    closed,
    send: (text) => webSocket.send(text),
    close: () => webSocket.close(4321),
  };
}
