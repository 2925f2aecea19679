import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { Duplex, Readable } from "node:stream";
import { describe, test } from "node:test";
import { waitFor } from "@tidegate/testkit";
import { readClientAsStream, readClientTo } from "./client-reader.ts";
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

describe("readClientAsStream()", () => {
  test("gives the bytes to the stream, each chunk in memory of its own, until somebody takes them again", async () => {
    await using sockets = await pair();
    const { accepted, client } = sockets;
    const first = taking(accepted);
    accepted.resume();
    client.write("one ");
    await waitFor(() => first.text() === "one ", { what: "the bytes of one" });

    readClientAsStream(accepted);
    const chunks: Buffer[] = [];
    const listener = (chunk: Buffer): void => void chunks.push(chunk);
    accepted.on("data", listener);
    client.write("two ");
    await waitFor(() => chunks.length === 1, { what: "the bytes of two" });
    client.write("2.5 ");
    await waitFor(() => chunks.length === 2, { what: "the bytes behind two" });
    assert.equal(Buffer.concat(chunks).toString(), "two 2.5 ");
    assert.equal(first.text(), "one ", "who took before goes on taking");

    accepted.pause();
    accepted.off("data", listener);
    const second = taking(accepted);
    accepted.resume();
    client.write("three");
    await waitFor(() => second.text() === "three", { what: "the bytes of three" });
    assert.equal(chunks.length, 2);
    assert.equal(first.text(), "one ");
  });

  test("holds back what nobody listens to, no more than the stream's bound, and still tells of the end", async () => {
    await using sockets = await pair();
    const { accepted, client } = sockets;
    const { text } = taking(accepted);
    accepted.resume();
    client.write("one");
    await waitFor(() => text() === "one", { what: "the bytes of one" });
    readClientAsStream(accepted);
    Readable.prototype.pause.call(accepted);
    const sent = Buffer.alloc(4 * accepted.readableHighWaterMark, "x");
    client.end(sent);
    await waitFor(() => accepted.readableLength >= accepted.readableHighWaterMark, {
      what: "a full stream",
    });
    assert.ok(accepted.readableLength <= accepted.readableHighWaterMark + readBuffer.length);
    let bytes = 0;
    accepted.on("data", (chunk: Buffer) => (bytes += chunk.length));
    const ended = once(accepted, "end");
    accepted.resume();
    await ended;
    assert.equal(bytes, sent.length);
  });

  test("takes the listener from a stream that is no socket", async () => {
    const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
    const { text } = taking(stream as unknown as Socket);
    readClientAsStream(stream as unknown as Socket);
    assert.equal(stream.listenerCount("data"), 0);
    const chunk = once(stream, "data");
    stream.push("events");
    assert.equal(String((await chunk)[0]), "events");
    assert.equal(text(), "");
  });
});
