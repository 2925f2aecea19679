import assert from "node:assert/strict";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { connect } from "node:net";
import { describe, test } from "node:test";
import type { WebSocket } from "ws";
import { manualClock } from "@tidegate/clock";
import { waitFor } from "@tidegate/testkit";
import { dialRaw, openLimitedServer as open } from "../../test/limited-web-sockets.ts";
import { callerKey } from "../caller-key.ts";
import { byAddress, webSocketLimits, type MessageLimit } from "./ws.ts";

const paced = (
  exceed: "delay" | "drop" | "close",
  more: object = {},
): MessageLimit<IncomingMessage> => ({
  kind: "bucket",
  name: "pace",
  count: 1,
  seconds: 1,
  burst: 2,
  key: "connection",
  exceed,
  ...more,
});
const oneSocket = {
  kind: "concurrency",
  name: "sockets",
  limit: 1,
  expireSeconds: 10,
  key: byAddress,
} as const;

const closed = async (client: WebSocket): Promise<[number, string]> => {
  const [code, reason] = await once(client, "close");
  return [code, String(reason)];
};

describe("webSocketLimits() and hostile callers", () => {
  test("does not believe X-Forwarded-For", async () => {
    const connects = {
      kind: "window",
      name: "connects",
      limit: 1,
      seconds: 60,
      key: byAddress,
    } as const;
    await using on = await open({ connections: [connects] });
    await on.dial({ "x-forwarded-for": "198.51.100.1" });
    assert.equal(await on.refusedStatus({ "x-forwarded-for": "198.51.100.2" }), 429);
    assert.deepEqual(on.refused, [
      { isImpossible: false, violated: ["connects"], retryAfterSeconds: 60 },
    ]);
  });

  test("answers a refused upgrade with the fields and a problem document, and ends it", async () => {
    await using on = await open({ connections: [oneSocket] });
    await on.dial();
    const client = connect(on.port, "127.0.0.1");
    client.write(
      "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    let answer = "";
    client.setEncoding("latin1").on("data", (text: string) => (answer += text));
    await once(client, "close");
    const [head = "", body = ""] = answer.split("\r\n\r\n");
    assert.match(head, /^HTTP\/1\.1 429 Too Many Requests\r\n/);
    assert.match(head, /^Connection: close\r$/m);
    assert.match(head, /^Content-Type: application\/problem\+json\r$/m);
    assert.match(head, /^RateLimit-Policy: "sockets";q=1;qu="concurrent-requests"\r$/m);
    assert.match(head, /^Retry-After: \d+\r?$/m);
    assert.match(head, new RegExp(`^Content-Length: ${body.length}\r$`, "m"));
    assert.deepEqual(JSON.parse(body)["violated-policies"], ["sockets"]);
  });

  test("cuts off a refused client that does not take its answer", async () => {
    const clock = manualClock(0);
    const limits = webSocketLimits({
      connections: [{ kind: "window", name: "none", limit: 1, seconds: 60, key: () => "all" }],
      clock,
    });
    const request = { headers: {}, socket: { remoteAddress: "192.0.2.1" } };
    const calls: string[] = [];
    const stuck = {
      destroyed: false,
      once: () => {},
      on: () => {},
      end: () => calls.push("end"),
      destroy: () => calls.push("destroy"),
    };
    assert.equal(limits.admits(request, stuck), true);
    assert.equal(limits.admits(request, stuck), false);
    assert.deepEqual(calls, ["end"]);
    clock.advance(1_000);
    assert.deepEqual(calls, ["end", "destroy"]);
  });

  test("frees the slot of a socket that vanishes, and of a handshake that never finishes", async () => {
    await using on = await open({ connections: [oneSocket] });
    const first = await on.dial();
    assert.equal(await on.refusedStatus(), 429);
    first.terminate();
    const second = await waitFor(async () => on.dial().catch(() => undefined), {
      what: "the slot to come free",
    });
    second.terminate();
    await waitFor(() => on.sockets.clients.size === 0, { what: "the server to see it" });
    // A bad key: `ws` answers 400 after we admitted it.
    const bad = connect(on.port, "127.0.0.1");
    bad.on("error", () => {});
    bad.write(
      "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: bad\r\n\r\n",
    );
    bad.resume();
    await once(bad, "close");
    await on.dial();
  });

  test("holds the slot of a socket that lives longer than its expiry", async () => {
    await using on = await open({ connections: [oneSocket] });
    await on.dial();
    for (let i = 0; i < 60; i++) on.clock.advance(1_000);
    assert.equal(await on.refusedStatus(), 429);
  });

  test("a limit on how often one connects refills while the sockets live", async () => {
    const connects = {
      kind: "bucket",
      name: "connects",
      count: 1,
      seconds: 1,
      burst: 2,
      key: byAddress,
    } as const;
    await using on = await open({ connections: [connects, { ...oneSocket, limit: 9 }] });
    await on.dial();
    await on.dial();
    assert.equal(await on.refusedStatus(), 429);
    on.clock.advance(1_000);
    await on.dial();
    assert.equal(await on.refusedStatus(), 429);
  });

  test("answers 500 or 1011 when a key function throws, and lives on", async () => {
    const key = (request: IncomingMessage): string => {
      if (request.headers["x-user"] === "bad") throw new Error("no such user");
      return callerKey("user", String(request.headers["x-user"]));
    };
    await using on = await open({
      connections: [{ kind: "window", name: "connects", limit: 9, seconds: 60, key }],
    });
    assert.equal(await on.refusedStatus({ "x-user": "bad" }), 500);
    await on.dial({ "x-user": "good" });
    await using later = await open({ messages: [paced("drop", { key })] });
    const client = await later.dial({ "x-user": "bad" });
    assert.deepEqual(await closed(client), [1011, "limits-failed"]);
    assert.equal(on.faults.length + later.faults.length, 2);
  });

  test("one user over many sockets has one budget, whatever the length of the name", async () => {
    const long = "u".repeat(6_000);
    const key = (request: IncomingMessage): string => String(request.headers["x-user"]);
    await using on = await open({ messages: [paced("drop", { key })] });
    for (let i = 0; i < 3; i++) (await on.dial({ "x-user": `${long}a` })).send(`a${i}`);
    (await on.dial({ "x-user": `${long}b` })).send("b");
    await waitFor(() => on.got.length === 3 && on.acted.length === 1, { what: "all four" });
    assert.equal(on.got.filter((text) => text.startsWith("a")).length, 2);
  });

  test("counts pings, which no handler sees", async () => {
    await using on = await open({ messages: [paced("close", { counts: "controls" })] });
    const client = await on.dial();
    for (let i = 0; i < 9; i++) client.send("text");
    for (let i = 0; i < 3; i++) client.ping();
    assert.deepEqual(await closed(client), [4429, "limit;retryAfter=1;reauthenticate=0"]);
    assert.equal(on.got.length, 9);
  });

  test("cuts off who goes on sending and never answers the close frame", async () => {
    await using on = await open({ messages: [paced("close")] });
    const socket = await dialRaw(on.port);
    const flood = Buffer.concat(Array.from({ length: 100 }, () => textFrame("x")));
    socket.write(flood);
    await waitFor(() => on.acted.length === 1, { what: "the refusal" });
    socket.write(flood);
    on.clock.advance(1_000);
    await waitFor(() => socket.destroyed, { what: "the reset" });
    assert.deepEqual(on.got, ["x", "x"]);
    assert.equal(on.acted.length, 1);
  });

  test("bounds what it holds of a burst in one read, and closes", async () => {
    await using on = await open({
      messages: [paced("delay", { count: 1_000 })],
      maxHeldBytes: 4_096,
    });
    const socket = await dialRaw(on.port);
    socket.on("data", () => {});
    socket.write(Buffer.concat(Array.from({ length: 200 }, () => textFrame("x"))));
    await waitFor(() => [...on.sockets.clients].every(({ readyState }) => readyState > 1), {
      what: "the close",
    });
    assert.deepEqual(on.got, ["x", "x"]);
    socket.destroy();
  });
});

describe("webSocketLimits() on messages", () => {
  test("delay stops reading, keeps order, and delivers what comes to fit", async () => {
    await using on = await open({ messages: [paced("delay")] });
    const client = await on.dial();
    for (const text of ["1", "2", "3", "4"]) client.send(text);
    await waitFor(() => on.acted.length === 1, { what: "the pause" });
    const [server] = on.sockets.clients;
    assert.ok(server?.isPaused);
    assert.deepEqual(on.got, ["1", "2"]);
    on.clock.advance(1_000);
    await waitFor(() => on.got.length === 3, { what: "the third" });
    // The fourth was held already, or is read now: it waits either way.
    await waitFor(() => server.isPaused, { what: "the next pause" });
    on.clock.advance(1_000);
    await waitFor(() => on.got.length === 4, { what: "the fourth" });
    assert.deepEqual(on.got, ["1", "2", "3", "4"]);
    await waitFor(() => !server.isPaused, { what: "reading again" });
  });

  test("delay closes when the wait would be longer than maxDelayMs", async () => {
    await using on = await open({ messages: [paced("delay", { seconds: 60 })] });
    const client = await on.dial();
    for (const text of ["1", "2", "3"]) client.send(text);
    assert.deepEqual(await closed(client), [4429, "limit;retryAfter=60;reauthenticate=0"]);
    assert.deepEqual(on.got, ["1", "2"]);
  });

  test("drop throws the message away and goes on", async () => {
    await using on = await open({ messages: [paced("drop")] });
    const client = await on.dial();
    for (const text of ["1", "2", "3"]) client.send(text);
    await waitFor(() => on.acted.length === 1, { what: "the drop" });
    on.clock.advance(1_000);
    client.send("4");
    await waitFor(() => on.got.length === 3, { what: "the fourth" });
    assert.deepEqual(on.got, ["1", "2", "4"]);
    assert.deepEqual(on.acted, [{ action: "drop", isImpossible: false, violated: ["pace"] }]);
  });

  test("close says how long to stay away, in the codes of either profile", async () => {
    for (const [closeProfile, code] of [
      ["tidegate", 4429],
      ["standard", 1008],
    ] as const) {
      await using on = await open({ messages: [paced("close")], closeProfile });
      const client = await on.dial();
      for (const text of ["1", "2", "3"]) client.send(text);
      assert.deepEqual(await closed(client), [code, "limit;retryAfter=1;reauthenticate=0"]);
      assert.deepEqual(on.got, ["1", "2"]);
    }
  });

  test("a message above the capacity of a byte limit closes: no wait makes it fit", async () => {
    const bytes = { counts: "bytes", burst: 10, name: "bytes" };
    for (const [closeProfile, code] of [
      ["tidegate", 4413],
      ["standard", 1009],
    ] as const) {
      await using on = await open({ messages: [paced("delay", bytes)], closeProfile });
      const client = await on.dial();
      client.send("1234567890");
      client.send("12345678901");
      assert.deepEqual(await closed(client), [code, "message-too-big"]);
      assert.deepEqual(on.got, ["1234567890"]);
    }
  });

  test("messages and bytes are charged together or not at all, and the hardest action wins", async () => {
    await using on = await open({
      messages: [
        paced("delay", { name: "messages", burst: 3 }),
        paced("drop", { name: "bytes", counts: "bytes", burst: 10 }),
      ],
    });
    const client = await on.dial();
    client.send("12345678");
    client.send("too many");
    client.send("ok");
    client.send("");
    await waitFor(() => on.got.length === 3, { what: "three of four" });
    assert.deepEqual(on.got, ["12345678", "ok", ""]);
    assert.deepEqual(on.acted, [{ action: "drop", isImpossible: false, violated: ["bytes"] }]);
  });

  test("a socket that closes while reading is paused leaves no timer that delivers", async () => {
    await using on = await open({ messages: [paced("delay")] });
    const client = await on.dial();
    for (const text of ["1", "2", "3"]) client.send(text);
    await waitFor(() => on.acted.length === 1, { what: "the pause" });
    for (const socket of on.sockets.clients) socket.terminate();
    await once(client, "close");
    await waitFor(() => on.sockets.clients.size === 0, { what: "the server to see it" });
    assert.equal(on.clock.pendingTimers, 0);
    on.clock.advance(10_000);
    assert.deepEqual(on.got, ["1", "2"]);
  });

  test("refuses to start with limits that cannot be honoured", () => {
    assert.throws(() => webSocketLimits({ messages: [paced("drop", { burst: 0 })] }), /burst is 0/);
    assert.throws(() => webSocketLimits({ messages: [paced("drop"), paced("close")] }), /differ/);
  });
});

/** A text frame of a client with an empty mask. */
function textFrame(text: string): Buffer {
  return Buffer.concat([Buffer.of(0x81, 0x80 | text.length, 0, 0, 0, 0), Buffer.from(text)]);
}
