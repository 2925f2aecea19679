import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { quoted } from "./quoted-text.ts";

// oxlint-disable-next-line eslint/no-control-regex -- control characters are what it is about
const HARMFUL = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/;

test("quoted() lets nobody forge a line, steer a terminal or turn text around", () => {
  const hostile = [
    'ada\n{"level":"error","event":"request"}',
    "ada\r\n",
    '","status":200,"x":"',
    "\\",
    "\u001b[2J\u001b]0;title\u0007",
    "\u009b2J",
    "\u2028\u2029",
    "\u202egnp.exe",
    "\ud800",
  ];
  for (const text of hostile) {
    const line = quoted(text);
    assert.doesNotMatch(line, HARMFUL);
    assert.equal(JSON.parse(line), text);
  }
});

test("quoted() gives back every text, and only characters that are safe in a line", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => {
      const line = quoted(text, 1_000);
      assert.equal(JSON.parse(line), text);
      assert.doesNotMatch(line, HARMFUL);
    }),
  );
});

test("quoted() cuts what is too long and shows that it did", () => {
  assert.equal(quoted("a".repeat(20), 5), '"aaaaa…"');
  assert.equal(quoted("a".repeat(5), 5), '"aaaaa"');
});
