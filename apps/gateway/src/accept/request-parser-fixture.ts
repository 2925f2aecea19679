// Requests as bytes, good and nearly good, and what the parser makes of them: for its tests alone.

import assert from "node:assert/strict";
import fc from "fast-check";
import { RequestParser, STEP } from "./request-parser.ts";

export const MAX_HEADER_BYTES = 2_048;

export interface Read {
  readonly method: string;
  readonly target: string;
  readonly httpVersion: string;
  readonly fields: readonly string[];
  body: string;
  trailers: readonly string[] | undefined;
}

/** What a parser made of some bytes, told without regard to how they were cut. */
export interface Outcome {
  readonly requests: Read[];
  flaw: string | undefined;
  reason: number | undefined;
  /** Bytes that were taken when the flaw was found. */
  flawAt: number;
  /** Whether something was begun that is not whole. */
  isOpen: boolean;
}

/** @param cuts positions at which the bytes are cut */
export function parse(bytes: Buffer, cuts: readonly number[] = []): Outcome {
  const parser = new RequestParser(MAX_HEADER_BYTES);
  const outcome: Outcome = {
    requests: [],
    flaw: undefined,
    reason: undefined,
    flawAt: 0,
    isOpen: false,
  };
  const ends = [...new Set([...cuts, bytes.length])].sort((a, b) => a - b);
  let start = 0;
  for (const end of ends) {
    // A copy, so that nothing can look beyond the cut.
    const piece = Buffer.from(bytes.subarray(start, end));
    let at = 0;
    while (at < piece.length) {
      const step = parser.step(piece, at);
      assert.ok(parser.at > at || step === STEP.flaw, "it took nothing");
      at = parser.at;
      const last = outcome.requests.at(-1);
      if (step === STEP.head) {
        const { head } = parser;
        assert.ok(head !== undefined);
        const { method, target, httpVersion, fields, bodyBytes } = head;
        const trailers = bodyBytes === 0 ? [] : undefined;
        outcome.requests.push({ method, target, httpVersion, fields, body: "", trailers });
      } else if (step === STEP.chunk) {
        assert.ok(last !== undefined && last.trailers === undefined, "a body outside its request");
        last.body += piece.toString("latin1", parser.chunkStart, parser.chunkEnd);
        if (parser.isBodyWhole) {
          parser.finish();
          last.trailers = parser.trailers;
        }
      } else if (step === STEP.ended) {
        assert.ok(last !== undefined);
        last.trailers = parser.trailers;
      } else if (step === STEP.flaw) {
        outcome.flaw = parser.flaw.detail;
        outcome.reason = parser.flaw.reason;
        outcome.flawAt = start + at;
        return outcome;
      }
    }
    start = end;
  }
  outcome.isOpen = parser.isInHead || parser.isInBody;
  return outcome;
}

export const latin1 = (text: string): Buffer => Buffer.from(text, "latin1");

const token = fc
  .stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,12}$/)
  .filter(
    (name) =>
      !/^(?:content-length|transfer-encoding|connection|upgrade|host|expect|trailer|te)$/i.test(
        name,
      ),
  );
/** Any bytes, as latin-1. */
const anyBytes = (minLength: number, maxLength: number): fc.Arbitrary<string> =>
  fc.uint8Array({ minLength, maxLength }).map((bytes) => Buffer.from(bytes).toString("latin1"));
const value = anyBytes(0, 24).map((text) =>
  text.replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, "x").replaceAll(/^[\t ]+|[\t ]+$/g, ""),
);
const fieldLine = fc
  .tuple(token, value, fc.constantFrom("", " ", "\t "))
  .map(([name, text, blank]) => `${name}:${blank}${text}\r\n`);
const chunked = fc
  .tuple(
    fc.array(anyBytes(1, 40), { maxLength: 4 }),
    fc.array(fieldLine, { maxLength: 2 }),
    fc.constantFrom("", ";x", ";x=y"),
  )
  .map(
    ([pieces, trailers, extension]) =>
      `${pieces.map((piece) => `${piece.length.toString(16)}${extension}\r\n${piece}\r\n`).join("")}0\r\n${trailers.join("")}\r\n`,
  );
/** Requests that are well-formed and whole. */
export const goodRequest = fc
  .tuple(
    fc.constantFrom("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "M-SEARCH"),
    fc.stringMatching(/^\/[!-~]{0,30}$/),
    fc.array(fieldLine, { maxLength: 5 }),
    fc.oneof(
      fc.constant(undefined),
      chunked,
      anyBytes(0, 60).map((body) => ({ body })),
    ),
  )
  .map(([method, target, fields, body]) => {
    const head = `${method} ${target} HTTP/1.1\r\nHost: localhost\r\n${fields.join("")}`;
    if (body === undefined) return `${head}\r\n`;
    if (typeof body === "string") return `${head}Transfer-Encoding: chunked\r\n\r\n${body}`;
    return `${head}Content-Length: ${body.body.length}\r\n\r\n${body.body}`;
  });
/** A good request in which one byte is another, is missing, or is there twice. */
export const nearlyGood = fc
  .tuple(
    goodRequest,
    fc.nat(),
    fc.constantFrom("\n", "\r", "\0", " ", ":", "0", "\x7f", "", "\r\n", "\t", ",", "-", "g"),
    fc.boolean(),
  )
  .map(([text, seed, other, isInserted]) => {
    const at = seed % text.length;
    return text.slice(0, at) + other + text.slice(isInserted ? at : at + 1);
  });
/** Places to cut a text at. */
export const cutsIn = (text: string): fc.Arbitrary<number[]> =>
  fc.array(fc.nat({ max: Math.max(1, text.length - 1) }), { maxLength: 6 });
