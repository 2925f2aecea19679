import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { describe, test } from "node:test";
import { waitFor } from "@tidegate/testkit";
import { readClientTo } from "./client-reader.ts";
import { readBuffer } from "./read-buffer.ts";

/** An accepted connection, paused, and the client at its other end. */
async function pair() {
  await using stack = new AsyncDisposableStack();
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  stack.defer(() => void server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = connect((server.address() as AddressInfo).port, "127.0.0.1");
  stack.defer(() => void client.destroy());
  const [accepted] = (await once(server, "connection")) as [Socket];
  stack.defer(() => void accepted.destroy());
  accepted.on("error", () => undefined);
  const owned = stack.move();
  return { client, accepted, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Takes from a socket, and notes whose memory the bytes came in. */
function taking(socket: Socket) {
  const taken: string[] = [];
  const memories = new Set<ArrayBufferLike>();
  const early = readClientTo(socket, (bytes, byteCount) => {
    memories.add(bytes.buffer);
    taken.push(bytes.toString("latin1", 0, byteCount));
  });
  return { early, memories, text: () => taken.join("") };
}

describe("readClientTo()", () => {
  test("reads an accepted connection into the thread's buffer, on the runtime that is pinned", async () => {
    await using sockets = await pair();
    const { memories, text, early } = taking(sockets.accepted);
    assert.equal(early.length, 0);
    sockets.accepted.resume();
    sockets.client.write("one");
    await waitFor(() => text() === "one", { what: "the bytes of one" });
    sockets.client.write("two");
    await waitFor(() => text() === "onetwo", { what: "the bytes of onetwo" });
    assert.deepEqual([...memories], [readBuffer.buffer], "it is no longer read without allocating");
  });

  test("takes nothing while the socket is paused, and all of it in order afterwards", async () => {
    await using sockets = await pair();
    const { text } = taking(sockets.accepted);
    sockets.accepted.resume();
    sockets.client.write("a");
    await waitFor(() => text() === "a", { what: "the bytes of a" });
    sockets.accepted.pause();
    await new Promise((resolve) => void sockets.client.write("b", resolve));
    await new Promise((resolve) => void setImmediate(resolve));
    assert.equal(text(), "a");
    sockets.accepted.resume();
    sockets.client.write("c");
    await waitFor(() => text() === "abc", { what: "the bytes of abc" });
  });

  test("gives back what was read before it", async () => {
    await using sockets = await pair();
    const { accepted, client } = sockets;
    // As a connection that was an HTTP one: it flowed, and was paused with bytes in hand.
    accepted.unshift(Buffer.from("early "));
    const { early, text } = taking(accepted);
    assert.equal(early.toString(), "early ");
    accepted.resume();
    client.write("late");
    await waitFor(() => text() === "late", { what: "the bytes of late" });
  });

  test("tells of the end", async () => {
    await using sockets = await pair();
    const { text } = taking(sockets.accepted);
    const ended = once(sockets.accepted, "end");
    sockets.accepted.resume();
    sockets.client.end("bye");
    await ended;
    assert.equal(text(), "bye");
  });

  test("takes the data events of a stream that is no socket", async () => {
    const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
    const { text, early } = taking(stream as unknown as Socket);
    assert.equal(early.length, 0);
    stream.resume();
    stream.push("events");
    await waitFor(() => text() === "events", { what: "the bytes of events" });
  });
});
