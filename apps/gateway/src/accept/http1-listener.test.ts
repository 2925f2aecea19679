import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { describe, test } from "node:test";
import { rawConnection, readAnswer, waitFor } from "@tidegate/testkit";
import { validateConfig } from "../config/load-config.ts";
import { createClientAddress } from "./client-address.ts";
import {
  createHttp1Listener,
  type Arrivals,
  type Http1Exchange,
  type Http1Listener,
} from "./http1-listener.ts";

const REQUEST = "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n";

/** A listener that leaves every answer to the test. */
async function startListener({ maxConnections = 10 } = {}) {
  const { config } = validateConfig(
    {
      upstreams: { service: { targets: ["http://127.0.0.1:1"] } },
      routes: [{ path: "/**", to: "service", auth: "none" }],
    },
    { folder: "/" },
  );
  const exchanges: Http1Exchange[] = [];
  const refusals: string[] = [];
  const arrivals: Arrivals = {
    request: (exchange) => void exchanges.push(exchange),
    upgrade: (upgrade) => upgrade.refuse(400, [], ""),
    refused: ({ detail }, write) => {
      refusals.push(detail);
      write(400, [], "");
    },
  };
  let open = 0;
  const listener: Http1Listener = createHttp1Listener({
    listen: config.listen,
    servedHosts: new Set(["localhost"]),
    clientAddress: createClientAddress([]),
    arrivals,
    connections: {
      isFull: () => open >= maxConnections,
      opened: () => void open++,
      closed: () => void open--,
    },
    firstConnectionNumber: 0,
  });
  const port = await listener.listen({ port: 0, isShared: false });
  return {
    port,
    listener,
    exchanges,
    refusals,
    openConnections: () => open,
    exchangeAt: (index: number) => waitFor(() => exchanges[index], { what: `request ${index}` }),
    [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose](),
  };
}

describe("Http1Listener", () => {
  test("drain() is not kept before the last answer that is owed has left", async () => {
    await using served = await startListener();
    await using client = await rawConnection(served.port);
    await client.write(REQUEST);
    const { answer } = await served.exchangeAt(0);
    let isDrained = false;
    const drained = served.listener.drain().then(() => (isDrained = true));
    answer.head(200, [], 2);
    for (let turns = 0; turns < 5; turns++) await turn();
    assert.equal(isDrained, false);
    answer.write(Buffer.from("ok"));
    answer.end([]);
    await drained;
    const got = await readAnswer(client);
    assert.deepEqual([got.body.toString(), got.field("connection")], ["ok", "close"]);
  });

  test("drain() is kept at once when nothing is owed, and when who is owed has left", async () => {
    await using idle = await startListener();
    await idle.listener.drain();
    await using served = await startListener();
    const client = await rawConnection(served.port);
    await client.write(REQUEST);
    await served.exchangeAt(0);
    const drained = served.listener.drain();
    client.reset();
    await drained;
  });

  test("a connection beyond the cap is closed unread, and makes no room when it leaves", async () => {
    await using served = await startListener({ maxConnections: 1 });
    await using first = await rawConnection(served.port);
    await first.write(REQUEST);
    await served.exchangeAt(0);
    for (let time = 0; time < 3; time++) {
      await using refused = await rawConnection(served.port);
      await refused.ended();
    }
    assert.equal(served.openConnections(), 1);
    assert.equal(served.exchanges.length, 1);
  });

  test("clientGone() comes once, and never behind an answer that has left", async () => {
    await using served = await startListener();
    await using client = await rawConnection(served.port);
    await client.write(REQUEST);
    const first = await served.exchangeAt(0);
    let gone = 0;
    first.answer.listener = { clientDrained() {}, clientGone: () => void gone++ };
    first.answer.head(204, [], 0);
    first.answer.end([]);
    await readAnswer(client);
    await client.write(REQUEST);
    const second = await served.exchangeAt(1);
    let secondGone = 0;
    second.answer.listener = { clientDrained() {}, clientGone: () => void secondGone++ };
    client.reset();
    await waitFor(() => secondGone > 0, { what: "the client to be gone" });
    await waitFor(() => served.openConnections() === 0, { what: "the connection to close" });
    assert.deepEqual([gone, secondGone], [0, 1]);
    // Whatever is written now goes nowhere, and hurts nobody.
    second.answer.inform(103, ["Link", "</a>"]);
    second.answer.head(200, [], -1);
    assert.equal(second.answer.write(Buffer.from("late")), true);
    second.answer.end(["X", "y"]);
    second.answer.destroy();
  });

  test("many small pieces for a client that does not read are stopped, and go on when it reads", async () => {
    await using served = await startListener();
    await using client = await rawConnection(served.port);
    await client.write(REQUEST);
    const { answer } = await served.exchangeAt(0);
    client.pause();
    let drained = 0;
    answer.listener = { clientDrained: () => void drained++, clientGone() {} };
    answer.head(200, [], -1);
    const piece = Buffer.alloc(4_096, "x");
    let written = 0;
    // The kernel's buffers on both sides take some megabytes; what we hold above them is bounded.
    while (written < 64 * 1_048_576) {
      written += piece.length;
      if (!answer.write(piece)) break;
      await turn();
    }
    assert.ok(written < 64 * 1_048_576, "nothing stopped the writer");
    assert.equal(drained, 0);
    client.resume();
    await waitFor(() => drained > 0, { what: "the client to be drained" });
    answer.end([]);
    assert.equal((await readAnswer(client)).body.length, written);
  });

  test("a refused upload is read on while the client still sends, so that it gets to see why", async () => {
    await using served = await startListener();
    await using client = await rawConnection(served.port);
    const piece = Buffer.alloc(100_000);
    await client.write("POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500000\r\n\r\n");
    await client.write(piece);
    const { answer } = await served.exchangeAt(0);
    answer.head(413, [], 2);
    answer.write(Buffer.from("no"));
    answer.end([]);
    const got = await readAnswer(client);
    assert.deepEqual(
      [got.status, got.body.toString(), got.field("connection")],
      [413, "no", "close"],
    );
    for (let sent = 1; sent < 5; sent++) {
      // A round trip elsewhere: an end of this connection would have arrived by then.
      await using other = await rawConnection(served.port);
      await other.write("GET /y HTTP/1.1\r\n\r\n");
      await other.ended();
      assert.equal(client.ending(), undefined, "the connection ended in the middle of the upload");
      await client.write(piece);
    }
    assert.equal(await client.ended(), "end");
  });
});
