import assert from "node:assert/strict";
import { test } from "node:test";
import { rawConnection } from "./raw-connection.ts";
import { startRawServer } from "./raw-server.ts";
import { waitFor } from "./wait-for.ts";

test("rawConnection() sends latin1 and hex byte for byte", async () => {
  await using server = await startRawServer();
  await using client = await rawConnection(server.port);
  await client.write("\xff\x00a");
  await client.writeHex("81 02 0d0a");
  await waitFor(() => server.received(0).length === 7, { what: "seven bytes" });
  assert.equal(server.received(0).toString("hex"), "ff006181020d0a");
});

test("readUntil() takes up to its marker and leaves the rest, however the bytes are cut", async () => {
  await using server = await startRawServer((socket) => {
    socket.write("one\r");
    setImmediate(() => socket.write("\ntwo"));
  });
  await using client = await rawConnection(server.port);
  assert.equal((await client.readUntil("\r\n")).toString(), "one\r\n");
  assert.equal((await client.readBytes(3)).toString(), "two");
  assert.equal(client.received().length, 0);
  assert.equal(client.receivedBytes(), 8);
});

test("readUntil() fails with what arrived when the peer ends first", async () => {
  await using server = await startRawServer((socket) => void socket.end("half"));
  await using client = await rawConnection(server.port);
  await assert.rejects(client.readUntil("whole"), /the peer's end came first, after "half"/);
});

test("readUntil() fails with what arrived at its deadline", async () => {
  await using server = await startRawServer((socket) => void socket.write("some"));
  await using client = await rawConnection(server.port);
  await assert.rejects(client.readUntil("more", { deadlineMs: 50 }), /in time; arrived: "some"/);
});

test("ended() tells a FIN from a reset", async () => {
  await using server = await startRawServer((socket, index) => {
    if (index === 0) socket.end();
    else socket.once("data", () => socket.resetAndDestroy());
  });
  await using polite = await rawConnection(server.port);
  assert.equal(await polite.ended(), "end");
  await using rude = await rawConnection(server.port);
  await rude.write("x");
  assert.equal(await rude.ended(), "reset");
});

test("halfClose() ends our side only and reset() ends both abruptly", async () => {
  const seen: string[] = [];
  await using server = await startRawServer((socket) => {
    socket.on("end", () => {
      seen.push("end");
      socket.write("still here");
    });
    socket.on("error", (error: NodeJS.ErrnoException) => seen.push(error.code ?? ""));
  });
  await using client = await rawConnection(server.port);
  client.halfClose();
  assert.equal((await client.readUntil("here")).toString(), "still here");
  await using other = await rawConnection(server.port);
  await server.socketAt(1);
  other.reset();
  await waitFor(() => seen.includes("ECONNRESET"), { what: "the reset at the server" });
  assert.deepEqual(seen, ["end", "ECONNRESET"]);
});
