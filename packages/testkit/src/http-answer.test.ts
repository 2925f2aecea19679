import assert from "node:assert/strict";
import { test } from "node:test";
import { readAnswer } from "./http-answer.ts";
import { rawConnection } from "./raw-connection.ts";
import { startRawServer } from "./raw-server.ts";

async function answerOf(
  bytes: string,
  method = "GET",
): Promise<Awaited<ReturnType<typeof readAnswer>>> {
  await using server = await startRawServer((socket) => void socket.end(bytes, "latin1"));
  await using client = await rawConnection(server.port);
  return await readAnswer(client, { method });
}

test("readAnswer() reads by length, by chunks with trailers, and to the end", async () => {
  const byLength = await answerOf("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: 1\r\na: 2\r\n\r\nhi");
  assert.equal(byLength.body.toString(), "hi");
  assert.deepEqual(byLength.fields, [
    ["Content-Length", "2"],
    ["A", "1"],
    ["a", "2"],
  ]);
  assert.throws(() => byLength.field("A"), /2 times/);

  const chunked = await answerOf(
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=1\r\nhi\r\nA\r\n0123456789\r\n0\r\nT: 1\r\n\r\n",
  );
  assert.equal(chunked.body.toString(), "hi0123456789");
  assert.deepEqual(chunked.trailers, [["T", "1"]]);

  assert.equal((await answerOf("HTTP/1.0 200 OK\r\n\r\nto the end")).body.toString(), "to the end");
});

test("readAnswer() expects no body for HEAD, 1xx, 204 and 304", async () => {
  const head = await answerOf("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD");
  assert.deepEqual([head.status, head.body.length], [200, 0]);
  for (const status of [100, 204, 304]) {
    const answer = await answerOf(`HTTP/1.1 ${status} X\r\nContent-Length: 5\r\n\r\n`);
    assert.deepEqual([answer.status, answer.body.length], [status, 0]);
  }
});

test("readAnswer() throws at what is no HTTP/1.1 answer", async () => {
  await assert.rejects(answerOf("HTTP/2 200\r\n\r\n"), /not a status line/);
  await assert.rejects(answerOf("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"), /came first/);
  await assert.rejects(
    answerOf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
    /bad size line/,
  );
});
