import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import { callerKey } from "./caller-key.ts";

describe("callerKey()", () => {
  test("never gives one key to two callers, whatever they call themselves", () => {
    const parts = fc.array(fc.string({ unit: fc.constantFrom("a", ";", ":", "1", "#") }), {
      maxLength: 4,
    });
    fc.assert(
      fc.property(parts, parts, (left, right) => {
        const isSame = JSON.stringify(left) === JSON.stringify(right);
        assert.equal(callerKey("person", ...left) === callerKey("person", ...right), isSame);
      }),
      { numRuns: 500 },
    );
    assert.notEqual(callerKey("person", "a", "b;1:c"), callerKey("person", "a;1:b", "c"));
    assert.notEqual(callerKey("person", "1"), callerKey("client", "1"));
  });

  test("is bounded for any length, and still tells long texts apart", () => {
    const long = "x".repeat(7_000);
    const keys = [`${long}a`, `${long}b`, long].map((text) => callerKey("api-key", text));
    assert.equal(new Set(keys).size, 3);
    for (const key of keys) assert.ok(key.length <= 64);
    assert.ok(callerKey("api-key", "x".repeat(10_000_000)).length <= 64);
  });
});
