import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { writtenLine } from "./written-line.ts";

test("writtenLine() refuses what would end a line, also where a good one stood before", () => {
  for (const bad of ["a\r\nSet-Cookie: x", "a\n", "\0", "\u2028", "\u010d", "\x7f"]) {
    assert.equal(writtenLine(0, "Name", "a"), "Name: a\r\n");
    assert.throws(() => writtenLine(0, "Name", bad), /may not be there/);
    assert.throws(() => writtenLine(0, bad, "a"), /may not be there/);
    assert.equal(writtenLine(0, "Name", "a"), "Name: a\r\n");
  }
});

test("writtenLine() writes what it is given, whatever stood at the place before", () => {
  const text = fc.constantFrom("", "a", "b", "ab", "\xff", "x".repeat(600));
  const lines = fc.array(fc.tuple(fc.nat(40), text, text), { maxLength: 30 });
  fc.assert(
    fc.property(lines, (all) => {
      for (const [place, name, value] of all)
        assert.equal(writtenLine(place, name, value), `${name}: ${value}\r\n`);
    }),
  );
});
