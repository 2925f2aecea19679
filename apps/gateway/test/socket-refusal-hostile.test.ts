// What refused handshakes can be made to cost by who does not behave.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { rawConnection, readAnswer, waitFor } from "@tidegate/testkit";
import { OPCODE } from "@tidegate/wire";
import { fastClock } from "./http-harness.ts";
import { assertTold, isTold, meet, outcome, setUp, stay, type Fields } from "./refusal-harness.ts";
import { closePayload, handshake, masked, readClose } from "./socket-harness.ts";

/** Stands still as far as tests can tell: a second takes more than a minute. */
const stillClock = fastClock(0.01);

describe("hostile callers", () => {
  test("a flood of refused handshakes holds no more sockets than the cap; who leaves makes room", async () => {
    await using t = await setUp({
      clock: stillClock,
      listen: { maxUnauthenticatedSockets: 3 },
      websocket: { handshakeRefusal: "close" },
    });
    const { gateway, Origin } = t;
    await using parts = new AsyncDisposableStack();
    const clients: Awaited<ReturnType<typeof stay>>[] = [];
    for (let count = 0; count < 10; count++)
      clients.push(parts.use(await stay(gateway.port, { Origin })));
    const statuses = clients.map(({ status }) => status);
    assert.deepEqual(statuses, [101, 101, 101, 401, 401, 401, 401, 401, 401, 401]);
    clients[1]!.halfClose();
    await waitFor(async () => isTold(await meet(gateway.port, { Origin })), { what: "room" });
    clients[2]!.reset();
    await waitFor(async () => isTold(await meet(gateway.port, { Origin })), { what: "room again" });
  });

  test("the cap is that of all workers together", async () => {
    await using t = await setUp({
      threads: 2,
      listen: { maxUnauthenticatedSockets: 3 },
      websocket: { handshakeRefusal: "close" },
    });
    const { gateway, Origin } = t;
    await using parts = new AsyncDisposableStack();
    const startedMs = performance.now();
    const clients = await Promise.all(
      Array.from({ length: 60 }, () => stay(gateway.port, { Origin })),
    );
    // Each holds its place for a second, and perhaps a timer's inexactness less.
    const rounds = 1 + Math.floor((performance.now() - startedMs) / 990);
    for (const client of clients) parts.use(client);
    const accepted = clients.filter(({ status }) => status === 101).length;
    assert.ok(accepted >= 1 && accepted <= 3 * rounds, `${accepted} in ${rounds} rounds`);
    assert.ok(clients.every(({ status }) => status === 101 || status === 401));
  });

  test("a cap of 0 answers by status alone", async () => {
    await using t = await setUp({
      listen: { maxUnauthenticatedSockets: 0 },
      websocket: { handshakeRefusal: "close" },
    });
    assert.equal(await meet(t.gateway.port, { Origin: t.Origin }), 401);
  });

  test("who neither answers the close nor ends is cut after a second", async () => {
    await using t = await setUp();
    // Before it can have been told, or a slow machine would make the second look shorter.
    const startedMs = performance.now();
    await using client = await stay(t.gateway.port, { Origin: t.Origin });
    assert.equal(readClose(await client.readToEnd()).code, 4401);
    client.pause();
    await waitFor(
      () => {
        // Taken without a word as long as the connection is there.
        client.socket.write("x");
        return client.socket.destroyed;
      },
      { what: "the cut", everyMs: 20 },
    );
    assert.ok(performance.now() - startedMs > 990);
  });

  test("who goes on sending is cut at once, and what was sent is nobody's", async () => {
    await using t = await setUp({ clock: stillClock });
    await using client = await stay(t.gateway.port, { Origin: t.Origin });
    await client.write(Buffer.alloc(1_000, "GET /admin HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    assert.equal(readClose(await client.readToEnd()).code, 4401);
    await waitFor(
      () => {
        client.socket.write(Buffer.alloc(100));
        return client.socket.destroyed;
      },
      { what: "the cut" },
    );
    assert.equal(t.upstream.server.sockets.length, 0);
  });

  test("early frames of any kind do not matter, up to 1 KB", async () => {
    const early: readonly (readonly [string, Buffer])[] = [
      ["text", masked("hello")],
      ["all reserved bits", masked("hello", { reserved: 7 })],
      ["no frame", Buffer.from("ffffffffffffffffffffffff", "hex")],
      ["a close of its own", masked(closePayload(1000, "bye"), { opcode: OPCODE.close })],
      ["1 KB", Buffer.alloc(1_024)],
    ];
    await using t = await setUp({ websocket: { handshakeRefusal: "close" } });
    const { port } = t.gateway;
    for (const [name, bytes] of early) {
      await using client = await rawConnection(port);
      const head = Buffer.from(handshake(port, { Origin: t.Origin }));
      await client.write(Buffer.concat([head, bytes]));
      const met = await outcome(client);
      assert.ok(isTold(met) && met.code === 4401, name);
    }
    await using client = await rawConnection(port);
    const head = Buffer.from(handshake(port, { Origin: t.Origin }));
    await client.write(Buffer.concat([head, Buffer.alloc(1_025)]));
    assert.equal((await readAnswer(client)).status, 401);
  });

  for (const handshakeRefusal of ["auto", "close", "status"] as const) {
    test(`other origins get 403, and programs the status, with \`${handshakeRefusal}\``, async () => {
      await using t = await setUp({ websocket: { handshakeRefusal } });
      const { port } = t.gateway;
      for (const Origin of ["https://evil.example", "null", "", t.Origin.toUpperCase()])
        assert.equal(await meet(port, { Origin }), 403, Origin);
      assert.equal(await meet(port, {}), 401);
      const met = await meet(port, { Origin: t.Origin });
      if (handshakeRefusal === "status") assert.equal(met, 401);
      else assertTold(met, 4401, "credential");
    });
  }

  test("a handshake that is none is answered by status", async () => {
    await using t = await setUp({ websocket: { handshakeRefusal: "close" } });
    const { port } = t.gateway;
    const { Origin } = t;
    const good = await t.as("ada");
    const flaws: readonly (readonly [Fields, number])[] = [
      [{ "Sec-WebSocket-Version": "8" }, 426],
      [{ "Sec-WebSocket-Key": "short" }, 400],
      [{ "Sec-WebSocket-Protocol": "chat,,v2" }, 400],
    ];
    for (const [flaw, status] of flaws) {
      assert.equal(await meet(port, { Origin, ...good, ...flaw }), status);
      assert.equal(await meet(port, { Origin, ...flaw }), 401);
    }
    assert.equal(t.upstream.server.sockets.length, 0);
  });

  test("a drain during the second waits for it and no longer; nobody else is accepted to be told", async () => {
    await using t = await setUp({
      drainTimeoutMs: 10_000,
      answer: () => undefined,
      websocket: { handshakeRefusal: "close" },
    });
    const { gateway, Origin } = t;
    await using opening = await rawConnection(gateway.port);
    await opening.write(handshake(gateway.port, { Origin, ...(await t.as("ada")) }));
    await t.upstream.socket();
    await using client = await stay(gateway.port, { Origin });
    const startedMs = performance.now();
    const stopped = gateway.gateway.stop("test");
    assert.equal((await readAnswer(opening)).status, 503);
    assert.equal(readClose(await client.readToEnd()).code, 4401);
    await stopped;
    const tookMs = performance.now() - startedMs;
    assert.ok(tookMs < 5_000, `${tookMs} ms`);
  });
});
