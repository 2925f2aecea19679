import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:http";
import { describe, test } from "node:test";
import fc from "fast-check";
import { startRawServer } from "@tidegate/testkit";
import { AnswerParser } from "./answer-parser.ts";

const MAX_HEADER_BYTES = 2_048;

/** What a parser said about some bytes, told without regard to how the bytes were cut. */
interface Outcome {
  readonly informed: { status: number; fields: readonly string[] }[];
  status: number;
  fields: readonly string[];
  bodyBytes: number;
  body: string;
  trailers: string[] | undefined;
  isReusable: boolean | undefined;
  flaw: string | undefined;
  /** Bytes fed when the flaw was found, the chunk that held it included. */
  flawAt: number;
  endFlaw: string | undefined;
}

/** @param cuts positions at which the bytes are cut @param ends whether the connection ends behind them */
function parse(
  bytes: Buffer,
  {
    cuts = [],
    isHead = false,
    ends = true,
  }: { cuts?: number[]; isHead?: boolean; ends?: boolean } = {},
): Outcome {
  const outcome: Outcome = {
    informed: [],
    status: 0,
    fields: [],
    bodyBytes: 0,
    body: "",
    trailers: undefined,
    isReusable: undefined,
    flaw: undefined,
    flawAt: 0,
    endFlaw: undefined,
  };
  const parser = new AnswerParser(MAX_HEADER_BYTES);
  parser.begin(
    {
      informed: (status, fields) => void outcome.informed.push({ status, fields }),
      head: ({ status, fields, bodyBytes }) => {
        assert.equal(outcome.status, 0, "a second head");
        Object.assign(outcome, { status, fields, bodyBytes });
      },
      chunk: (chunk) => {
        assert.ok(chunk.length > 0, "an empty chunk");
        assert.notEqual(outcome.status, 0, "a body before the head");
        assert.equal(outcome.trailers, undefined, "a body behind the end");
        outcome.body += chunk.toString("latin1");
      },
      ended: (trailers, isReusable) => {
        assert.equal(outcome.trailers, undefined, "a second end");
        Object.assign(outcome, { trailers, isReusable });
      },
    },
    isHead,
  );
  const edges = [...new Set(cuts.filter((cut) => cut > 0 && cut < bytes.length))].sort(
    (a, b) => a - b,
  );
  let from = 0;
  for (const to of [...edges, bytes.length]) {
    if (to === from) continue;
    outcome.flawAt = to;
    // A copy, as a socket delivers: the parser must not lean on what lies behind a chunk.
    outcome.flaw = parser.parse(Buffer.from(bytes.subarray(from, to)));
    if (outcome.flaw !== undefined) return outcome;
    from = to;
  }
  outcome.flawAt = 0;
  if (ends) outcome.endFlaw = parser.end();
  return outcome;
}

const everyByte = (bytes: Buffer): number[] => Array.from(bytes, (_, at) => at);

const token = fc.stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,10}$/);
const value = fc.stringMatching(/^[!-~]([ !-~]{0,20}[!-~])?$/);
const field = fc
  .tuple(token, value)
  .filter(
    ([name]) => !/^(content-length|transfer-encoding|connection|keep-alive|trailer)$/i.test(name),
  );
const body = fc.string({ unit: "binary", maxLength: 60 }).map((text) => Buffer.from(text, "utf8"));
const lines = (fields: readonly (readonly [string, string])[]): string =>
  fields.map(([name, text]) => `${name}: ${text}\r\n`).join("");

/** A valid answer with any framing there is. */
const validAnswer = fc
  .record({
    status: fc.constantFrom(200, 201, 206, 404, 500),
    informational: fc.array(fc.constantFrom(100, 102, 103), { maxLength: 3 }),
    fields: fc.array(field, { maxLength: 5 }),
    pieces: fc.array(body, { maxLength: 4 }),
    trailers: fc.array(field, { maxLength: 3 }),
    framing: fc.constantFrom("length", "chunked", "close", "none"),
    extension: fc.constantFrom("", ";a=b", ';q="x y"'),
  })
  .map(({ status, informational, fields, pieces, trailers, framing, extension }) => {
    const payload = Buffer.concat(pieces);
    const informed = informational.map((code) => `HTTP/1.1 ${code} Wait\r\nX-I: ${code}\r\n\r\n`);
    const head = (more: string, code: number = status): string =>
      `${informed.join("")}HTTP/1.1 ${code} Fine\r\n${lines(fields)}${more}\r\n`;
    switch (framing) {
      case "length":
        return Buffer.concat([Buffer.from(head(`Content-Length: ${payload.length}\r\n`)), payload]);
      case "close":
        return Buffer.concat([Buffer.from(head("")), payload]);
      case "none":
        return Buffer.from(head("", 204));
      default: {
        const chunks = pieces.flatMap((piece) =>
          piece.length === 0
            ? []
            : [
                Buffer.from(`${piece.length.toString(16)}${extension}\r\n`),
                piece,
                Buffer.from("\r\n"),
              ],
        );
        const tail = Buffer.from(`0${extension}\r\n${lines(trailers)}\r\n`);
        return Buffer.concat([
          Buffer.from(head("Transfer-Encoding: chunked\r\n")),
          ...chunks,
          tail,
        ]);
      }
    }
  });

const cuts = fc.array(fc.nat(400), { maxLength: 12 });

describe("AnswerParser on valid answers", () => {
  test("parse() gives the same result wherever the bytes are cut", () => {
    fc.assert(
      fc.property(validAnswer, cuts, (bytes, at) => {
        const whole = parse(bytes);
        assert.equal(whole.flaw ?? whole.endFlaw, undefined);
        assert.deepEqual(parse(bytes, { cuts: at }), whole);
        assert.deepEqual(parse(bytes, { cuts: everyByte(bytes) }), whole);
      }),
      { numRuns: 300 },
    );
  });

  test("parse() agrees with the client of node:http on status, fields, body and trailers", async () => {
    let bytes = Buffer.alloc(0);
    await using server = await startRawServer((socket) => {
      socket.once("data", () => socket.end(bytes));
    });
    await fc.assert(
      fc.asyncProperty(validAnswer, async (answer) => {
        bytes = answer;
        const ours = parse(answer);
        const outgoing = request({ port: server.port, host: "127.0.0.1", agent: false });
        outgoing.end();
        const [incoming] = await once(outgoing, "response", { signal: AbortSignal.timeout(2_000) });
        const theirs: Buffer[] = [];
        for await (const chunk of incoming) theirs.push(chunk as Buffer);
        assert.equal(ours.status, incoming.statusCode);
        assert.deepEqual(ours.fields, incoming.rawHeaders);
        assert.equal(ours.body, Buffer.concat(theirs).toString("latin1"));
        assert.deepEqual(ours.trailers, incoming.rawTrailers);
      }),
      { numRuns: 60 },
    );
  });

  test("parse() knows which answers have no body and when a connection can be used again", () => {
    const cases: [string, { isHead?: boolean }, boolean, number][] = [
      ["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", { isHead: true }, true, 5],
      ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", { isHead: true }, true, -1],
      ["HTTP/1.1 200 OK\r\n\r\n", { isHead: true }, true, -1],
      ["HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", {}, true, 5],
      ["HTTP/1.1 204 No Content\r\n\r\n", {}, true, -1],
      ["HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", {}, true, 0],
      ["HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: x, CLOSE\r\n\r\n", {}, false, 0],
      ["HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", {}, false, 0],
      ["HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: Keep-Alive\r\n\r\n", {}, true, 0],
    ];
    for (const [text, options, isReusable, bodyBytes] of cases) {
      const outcome = parse(Buffer.from(text), { ...options, ends: false });
      assert.equal(outcome.flaw, undefined, text);
      assert.equal(outcome.isReusable, isReusable, text);
      assert.equal(outcome.bodyBytes, bodyBytes, text);
    }
  });
});

const HEAD = "HTTP/1.1 200 OK\r\n";
const illegal: Record<string, string> = {
  "another protocol": "SSH-2.0-OpenSSH_9.2\r\n\r\n",
  "HTTP/0.9": "<html>\r\n\r\n",
  "HTTP/2.0": "HTTP/2.0 200 OK\r\n\r\n",
  "a status of two digits": "HTTP/1.1 20 OK\r\n\r\n",
  "a status of four digits": "HTTP/1.1 2000 OK\r\n\r\n",
  "a status below 100": "HTTP/1.1 099 OK\r\n\r\n",
  "a control character in the reason": "HTTP/1.1 200 O\x01K\r\n\r\n",
  "two lengths": `${HEAD}Content-Length: 1\r\nContent-Length: 1\r\n\r\nab`,
  "a list of lengths": `${HEAD}Content-Length: 1, 1\r\n\r\nab`,
  "a length with a sign": `${HEAD}Content-Length: +1\r\n\r\nab`,
  "an empty length": `${HEAD}Content-Length:\r\n\r\nab`,
  "a length beyond what we count": `${HEAD}Content-Length: 9999999999999999\r\n\r\nab`,
  "a length with chunked": `${HEAD}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  "gzip before chunked": `${HEAD}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
  "chunked twice": `${HEAD}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  "chunked with HTTP/1.0": "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
  "a space before the colon": `${HEAD}Content-Length : 1\r\n\r\na`,
  "a folded line": `${HEAD}X: a\r\n b\r\n\r\n`,
  "a line without colon": `${HEAD}nonsense\r\n\r\n`,
  "an empty name": `${HEAD}: x\r\n\r\n`,
  "bare LF in a field": `${HEAD}X: a\nY: b\r\n\r\n`,
  "bare CR in a field": `${HEAD}X: a\rY: b\r\n\r\n`,
  "NUL in a field": `${HEAD}X: a\0b\r\n\r\n`,
  "fields larger than allowed": `${HEAD}X: ${"a".repeat(MAX_HEADER_BYTES)}\r\n\r\n`,
  "a head that never ends": "a".repeat(MAX_HEADER_BYTES + 1),
  "informational answers for ever": "HTTP/1.1 100 Continue\r\n\r\n".repeat(17),
  "a body longer than its length": `${HEAD}Content-Length: 1\r\n\r\nab`,
  "a body with 204": "HTTP/1.1 204 No Content\r\n\r\na",
  "a body with 304": "HTTP/1.1 304 Not Modified\r\n\r\na",
  "bytes behind the last chunk": `${HEAD}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\na`,
  "a second answer": `${HEAD}Content-Length: 0\r\n\r\n${HEAD}Content-Length: 0\r\n\r\n`,
  "a chunk size that is none": `${HEAD}Transfer-Encoding: chunked\r\n\r\nx\r\n`,
  "an empty chunk size": `${HEAD}Transfer-Encoding: chunked\r\n\r\n\r\n`,
  "a chunk size of 0x": `${HEAD}Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n`,
  "a chunk size beyond what we count": `${HEAD}Transfer-Encoding: chunked\r\n\r\n10000000000000\r\n`,
  "a blank behind a chunk size": `${HEAD}Transfer-Encoding: chunked\r\n\r\n1 \r\na\r\n0\r\n\r\n`,
  "a chunk size with bare LF": `${HEAD}Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n`,
  "a chunk longer than its size": `${HEAD}Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n`,
  "a chunk with bare LF behind it": `${HEAD}Transfer-Encoding: chunked\r\n\r\n1\r\na\n0\r\n\r\n`,
  "a chunk extension for ever": `${HEAD}Transfer-Encoding: chunked\r\n\r\n1;${"a".repeat(1_100)}\r\n`,
  "a trailer without colon": `${HEAD}Transfer-Encoding: chunked\r\n\r\n0\r\nx\r\n\r\n`,
  "a trailer with bare LF": `${HEAD}Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\n\r\n`,
  "too many trailers": `${HEAD}Transfer-Encoding: chunked\r\n\r\n0\r\n${"X: y\r\n".repeat(65)}\r\n`,
  "trailers larger than allowed": `${HEAD}Transfer-Encoding: chunked\r\n\r\n0\r\n${`X: ${"y".repeat(1_000)}\r\n`.repeat(20)}\r\n`,
};

describe("AnswerParser on illegal answers", () => {
  for (const [name, text] of Object.entries(illegal)) {
    test(`parse() refuses ${name}, at the same byte wherever the cuts fall`, () => {
      const bytes = Buffer.from(text, "latin1");
      const options = { isHead: false };
      const reference = parse(bytes, { ...options, cuts: everyByte(bytes) });
      assert.notEqual(reference.flaw, undefined);
      assert.notEqual(parse(bytes, options).flaw, undefined, "not refused in one piece");
      fc.assert(
        fc.property(fc.array(fc.nat(bytes.length), { maxLength: 10 }), (at) => {
          const outcome = parse(bytes, { ...options, cuts: at });
          assert.notEqual(outcome.flaw, undefined);
          // Found in the very chunk that holds the byte.
          const edges = [0, ...at, bytes.length].filter((edge) => edge < reference.flawAt);
          assert.ok(outcome.flawAt >= reference.flawAt, "refused too early");
          assert.ok(Math.max(...edges) < reference.flawAt);
          const end = Math.min(...[...at, bytes.length].filter((edge) => edge >= reference.flawAt));
          assert.equal(outcome.flawAt, end, "refused too late");
          // Whatever was wrong with its framing, no part of such an answer is told as whole, unless the cut
          // fell exactly behind a whole one.
          if (outcome.trailers !== undefined)
            assert.ok(reference.trailers !== undefined && at.includes(reference.flawAt - 1));
        }),
        { numRuns: 40 },
      );
    });
  }

  test("end() says what is missing, and accepts an end only where it ends the body", () => {
    assert.match(String(parse(Buffer.from("HTTP/1.1 2")).endFlaw), /before the answer/);
    assert.match(String(parse(Buffer.from(`${HEAD}Content-Length: 2\r\n\r\na`)).endFlaw), /inside/);
    const chunked = `${HEAD}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n`;
    assert.match(String(parse(Buffer.from(chunked)).endFlaw), /inside/);
    assert.match(String(parse(Buffer.from(`${chunked}0\r\n`)).endFlaw), /inside/);
    const untilClose = parse(Buffer.from(`${HEAD}\r\nabc`));
    assert.equal(untilClose.endFlaw, undefined);
    assert.deepEqual([untilClose.body, untilClose.isReusable], ["abc", false]);
  });

  test("parse() never throws, tells a body that was not sent, or keeps more than its bound on mutated bytes", () => {
    const mutated = fc
      .tuple(
        validAnswer,
        fc.array(fc.tuple(fc.nat(400), fc.constantFrom(0, 10, 13, 32, 48, 58, 59, 97, 255)), {
          minLength: 1,
          maxLength: 6,
        }),
      )
      .map(([bytes, changes]) => {
        const copy = Buffer.from(bytes);
        for (const [at, byte] of changes) if (copy.length > 0) copy[at % copy.length] = byte;
        return copy;
      });
    fc.assert(
      fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 300 })), cuts, (raw, at) => {
        const bytes = Buffer.from(raw);
        const whole = parse(bytes);
        const cut = parse(bytes, { cuts: at });
        assert.equal(cut.flaw === undefined, whole.flaw === undefined);
        if (whole.flaw === undefined) assert.deepEqual(cut, whole);
        assert.ok(cut.body.length <= bytes.length);
      }),
      { numRuns: 1_500 },
    );
  });
});
