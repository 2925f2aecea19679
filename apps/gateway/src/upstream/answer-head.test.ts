import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { AnswerHeadReader } from "./answer-head.ts";

const lines = fc.constantFrom(
  "Content-Type: text/plain",
  "Content-Length: 3",
  "Content-Length: 4",
  "content-length: 3",
  "Transfer-Encoding: chunked",
  "Connection: close",
  "Connection: keep-alive",
  "Keep-Alive: timeout=5",
  "Date: now",
  "Date: later",
  "Set-Cookie: a=b",
  `X-Long: ${"x".repeat(3_000)}`,
  "No colon",
  "Space : before",
  " folded",
  "Bad: \0",
);
const statusLines = fc.constantFrom(
  "HTTP/1.1 200 OK",
  "HTTP/1.1 404 Not Found",
  "HTTP/1.0 200 OK",
  "HTTP/1.1 101 Switching Protocols",
  "HTTP/1.1 103 Early Hints",
  "HTTP/1.1 099 Low",
  "HTTP/2 200",
);
const heads = fc
  .tuple(statusLines, fc.array(lines, { maxLength: 5 }))
  .map(([statusLine, fields]) => [statusLine, ...fields, "", ""].join("\r\n"));

describe("AnswerHeadReader.read()", () => {
  test("reads each head as if it were the connection's first", () => {
    fc.assert(
      fc.property(fc.array(heads, { maxLength: 10 }), (all) => {
        const reader = new AnswerHeadReader();
        for (const text of all)
          assert.deepEqual(reader.read(text), new AnswerHeadReader().read(text));
      }),
    );
  });

  test("gives the same head again for the same text, and no other", () => {
    const reader = new AnswerHeadReader();
    const one = reader.read("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n");
    assert.equal(reader.read("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"), one);
    const two = reader.read("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
    assert.ok(typeof two === "object");
    assert.equal(two.bodyBytes, 2);
    // A flaw leaves what is known as it was.
    assert.equal(
      reader.read("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"),
      "Content-Length is not a number of bytes",
    );
    assert.equal(reader.read("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"), two);
  });
});
