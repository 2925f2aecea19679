import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { REASON } from "../judge/reason.ts";
import {
  cutsIn,
  goodRequest,
  latin1,
  MAX_HEADER_BYTES,
  nearlyGood,
  parse,
} from "./request-parser-fixture.ts";
import { RequestParser, STEP } from "./request-parser.ts";

describe("RequestParser", () => {
  test("bytes cut anywhere give the same requests, and the same refusal at the same byte", () => {
    const texts = fc.oneof(
      fc.array(goodRequest, { minLength: 1, maxLength: 3 }).map((all) => all.join("")),
      fc
        .tuple(fc.array(goodRequest, { maxLength: 2 }), nearlyGood)
        .map(([all, bad]) => all.join("") + bad),
    );
    fc.assert(
      fc.property(
        texts.chain((text) => fc.tuple(fc.constant(text), cutsIn(text))),
        ([text, cuts]) => {
          assert.deepEqual(parse(latin1(text), cuts), parse(latin1(text)));
        },
      ),
      { numRuns: 600 },
    );
  });

  test("single bytes give what the whole gives, for each shape that is refused", () => {
    const post = "POST /x HTTP/1.1\r\nHost: a\r\n";
    const texts = [
      `${post}Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n`,
      `${post}Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n`,
      `${post}Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 3\r\n\r\n`,
      `${post}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc`,
      `${post}X : y\r\n\r\n`,
      `${post}X: y\r\n z\r\n\r\n`,
      "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET /x\r\n",
      "\x16\x03\x01\x02",
      `GET /x HTTP/1.1\r\nX: ${"a".repeat(4_000)}\r\n\r\n`,
      `${post}Transfer-Encoding: chunked\r\n\r\n0\r\n${"X: y\r\n".repeat(1_000)}\r\n`,
      `${post}Transfer-Encoding: chunked\r\n\r\n1;${"x".repeat(2_000)}\r\n`,
    ];
    for (const text of texts) {
      const bytes = latin1(text);
      const whole = parse(bytes);
      assert.ok(whole.flaw !== undefined, `accepted: ${text}`);
      const all = Array.from(bytes, (_, at) => at);
      assert.deepEqual(parse(bytes, all), whole);
    }
  });

  test("a head of just the allowed length passes, and one byte more is too large", () => {
    const head = (bytes: number): Buffer => {
      const rest = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n".length;
      return latin1(`GET / HTTP/1.1\r\nHost: a\r\nX: ${"a".repeat(bytes - rest)}\r\n\r\n`);
    };
    assert.equal(parse(head(MAX_HEADER_BYTES)).requests.length, 1);
    assert.equal(parse(head(MAX_HEADER_BYTES + 1)).reason, REASON.fields_too_large);
  });

  test("lines that came before are recognised, and what is new is not taken for them", () => {
    const parser = new RequestParser(MAX_HEADER_BYTES);
    const read = (text: string): readonly string[] => {
      const bytes = latin1(text);
      assert.equal(parser.step(bytes, 0), STEP.head);
      assert.equal(parser.at, bytes.length);
      return parser.head?.fields ?? [];
    };
    const first = read("GET /1 HTTP/1.1\r\nHost: a\r\nCookie: b=1234567890123\r\nX: 1\r\n\r\n");
    assert.equal(
      read("GET /2 HTTP/1.1\r\nHost: a\r\nCookie: b=1234567890123\r\nX: 1\r\n\r\n"),
      first,
    );
    const texts = [
      ["Host: a", "Cookie: b=1234567890124", "X: 1"],
      ["Host: a", "X: 1"],
      ["Host: a", "Cookie: b=1234567890124", "X: 1", "Y: 2"],
      ["Host: a"],
      [],
      ["Cookie: b=1234567890124", "Host: a"],
      ["Host: a", "Host: a"],
    ];
    for (const lines of texts) {
      const fields = read(`GET / HTTP/1.1\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n`);
      assert.deepEqual(
        fields,
        lines.flatMap((line) => line.split(": ")),
      );
    }
    assert.deepEqual(first, ["Host", "a", "Cookie", "b=1234567890123", "X", "1"]);
  });

  test("framing is not remembered from the request before", () => {
    const text =
      "POST /1 HTTP/1.1\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc" +
      "POST /2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nd\r\n0\r\nT: u\r\n\r\n" +
      "GET /3 HTTP/1.1\r\n\r\n";
    const { requests, flaw } = parse(latin1(text));
    assert.equal(flaw, undefined);
    assert.deepEqual(
      requests.map(({ body, trailers }) => [body, trailers]),
      [
        ["abc", []],
        ["d", ["T", "u"]],
        ["", []],
      ],
    );
  });
});
