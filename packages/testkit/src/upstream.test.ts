import assert from "node:assert/strict";
import { test } from "node:test";
import { WebSocket } from "ws";
import { once } from "node:events";
import { rawConnection } from "./raw-connection.ts";
import { readAnswer } from "./http-answer.ts";
import { startUpstream } from "./upstream.ts";
import { waitFor } from "./wait-for.ts";

test("startUpstream() records fields as they came, body and trailers", async () => {
  await using upstream = await startUpstream();
  await using client = await rawConnection(upstream.port);
  await client.write("POST /a?b HTTP/1.1\r\nHost: x\r\nX-One: 1\r\nx-one: 2\r\n");
  await client.write("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: v\r\n\r\n");
  const answer = await readAnswer(client);
  assert.deepEqual(JSON.parse(answer.body.toString()), {
    method: "POST",
    target: "/a?b",
    bodyBytes: 3,
  });
  const request = await upstream.requestAt(0, { isWhole: true });
  assert.deepEqual(request.values("X-ONE"), ["1", "2"]);
  assert.deepEqual(request.fields[1], ["X-One", "1"]);
  assert.equal(request.body().toString(), "abc");
  assert.deepEqual(request.trailers(), [["T", "v"]]);
});

test("startUpstream() tells a cut request from a whole one and numbers connections", async () => {
  await using upstream = await startUpstream();
  await using first = await rawConnection(upstream.port);
  await first.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
  const request = await upstream.requestAt(0);
  await waitFor(() => request.body().length === 3, { what: "three bytes" });
  assert.equal(request.state(), "arriving");
  first.reset();
  await waitFor(() => request.state() === "cut", { what: "the cut" });
  await using second = await rawConnection(upstream.port);
  await second.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  assert.equal((await upstream.requestAt(1)).connection, 1);
});

test("startUpstream() accepts WebSockets and echoes, and crash() cuts them", async () => {
  await using upstream = await startUpstream();
  const client = new WebSocket(`ws://127.0.0.1:${upstream.port}/live`, ["one", "two"]);
  await once(client, "open");
  assert.equal(client.protocol, "one");
  client.send("hello");
  const [data] = (await once(client, "message")) as [Buffer];
  assert.equal(data.toString(), "hello");
  await upstream.crash();
  const [code] = (await once(client, "close")) as [number];
  assert.equal(code, 1006);
});
