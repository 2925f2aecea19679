// What is cut on one side is cut on the other: a part never passes for the whole.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readAnswer, startUpstream, waitFor } from "@tidegate/testkit";
import { get, readProblem, requestBytes, startGateway } from "./http-harness.ts";

import { chunk, problemOf, scripted } from "./scripted-upstream.ts";

describe("what is not whole", () => {
  test("a client that leaves cancels its request upstream", async () => {
    await using upstream = await startUpstream({ onRequest: () => undefined });
    await using gateway = await startGateway({ targets: [upstream.url] });
    for (const leave of ["reset", "halfClose"] as const) {
      const client = await gateway.connect();
      await client.write(get("/x"));
      await waitFor(() => upstream.openConnections() === 1, { what: "the request upstream" });
      client[leave]();
      await waitFor(() => upstream.openConnections() === 0, { what: "the end of it upstream" });
    }
    const lines = await gateway.loggedAtLeast("request", 2);
    assert.deepEqual(
      lines.map((line) => line["status"]),
      [499, 499],
    );
  });

  for (const [name, fields, part] of [
    ["declared", ["Content-Length: 10"], "abc"],
    ["chunked, inside a chunk", ["Transfer-Encoding: chunked"], "a\r\nabc"],
    ["chunked, between chunks", ["Transfer-Encoding: chunked"], "3\r\nabc\r\n"],
    ["chunked, before the last line", ["Transfer-Encoding: chunked"], "3\r\nabc\r\n0\r\n"],
  ] as const)
    for (const leave of ["reset", "halfClose"] as const)
      test(`a cut upload (${name}; ${leave}) is never whole upstream`, async () => {
        await using upstream = await startUpstream({ onRequest: () => undefined });
        await using gateway = await startGateway({ targets: [upstream.url] });
        await using client = await gateway.connect();
        await client.write(requestBytes("POST /x HTTP/1.1", fields, part));
        const request = await upstream.requestAt(0);
        await waitFor(() => request.body().toString() === "abc", { what: "the part upstream" });
        client[leave]();
        await waitFor(() => request.state() === "cut", { what: "the cut upstream" });
      });

  for (const [name, answer] of [
    ["shorter than its length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"],
    ["longer than its length", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd"],
    [
      "without its last chunk",
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunk("abc")}`,
    ],
    [
      "broken in its chunks",
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunk("abc")}x\r\n`,
    ],
    [
      "with bytes behind its last chunk",
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunk("abc")}0\r\n\r\nx`,
    ],
  ] as const)
    test(`an answer ${name} destroys the client's connection`, async () => {
      await using upstream = await scripted((socket) => {
        socket.write(answer);
        socket.end();
      });
      await using gateway = await startGateway({ targets: [upstream.url] });
      await using client = await gateway.connect();
      await client.write(get("/x"));
      await assert.rejects(readAnswer(client), /came first/);
      const [line] = await gateway.loggedAtLeast("request", 1);
      assert.ok(line?.["fault"] === "upstream_ended" || line?.["fault"] === "upstream_garbage");
    });

  for (const [name, answer] of [
    ["no HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n"],
    ["two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"],
    [
      "a length with chunks",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    ["an upgrade that nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"],
    ["fields without end", `HTTP/1.1 200 OK\r\n${"X: y\r\n".repeat(400)}`],
    ["a split header", "HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\n\r\n"],
  ] as const)
    test(`an answer with ${name} is a 502, and says no more than that`, async () => {
      await using upstream = await scripted(answer);
      await using gateway = await startGateway({
        targets: [upstream.url],
        upstream: { maxAnswerHeaderBytes: 2_048 },
      });
      const refused = await gateway.ask(get("/x"));
      assert.equal(refused.status, 502);
      assert.equal(problemOf(refused), "upstream-garbage");
      assert.equal(readProblem(refused)["detail"], undefined);
      const fine = await gateway.ask(get("/x"));
      assert.equal(fine.status, 502);
    });
});
