import assert from "node:assert/strict";
import { MAX_CLOSE_REASON_BYTES } from "./control-frame.ts";

/**
 * The text of our close reasons: `word(;key=value)*`, at most 123 bytes, so that a client can act on it without
 * a parser of its own. Facts are our own words and numbers, never something a peer sent.
 *
 * @throws {AssertionError} when word, key or value has a character beyond letters, digits, `.` and `-`, or all
 *   of it is too long: a close frame of ours that is itself invalid would be worse than none
 */
export function toCloseReason(
  word: string,
  facts: Readonly<Record<string, string | number>> = {},
): string {
  const text = [word, ...Object.entries(facts).map(toFact)].join(";");
  assert.match(word, WORD);
  assert.ok(text.length <= MAX_CLOSE_REASON_BYTES, "close reason of at most 123 bytes");
  return text;
}

function toFact([key, value]: readonly [string, string | number]): string {
  assert.match(key, WORD);
  assert.match(String(value), WORD);
  return `${key}=${value}`;
}

const WORD = /^[A-Za-z0-9.-]+$/;
