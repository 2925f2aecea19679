import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import { createBoundedMemory } from "./bounded-memory.ts";

describe("bounded memory", () => {
  test("set() keeps both bounds and the sum of bytes, whatever is written, read and deleted", () => {
    const key = fc.constantFrom("a", "b", "c", "d", "e", "f", "g", "h");
    const step = fc.oneof(
      fc.record({ do: fc.constant("set" as const), key, bytes: fc.integer({ min: 1, max: 60 }) }),
      fc.record({ do: fc.constant("get" as const), key }),
      fc.record({ do: fc.constant("delete" as const), key }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const memory = createBoundedMemory<number>({ maxEntries: 4, maxBytes: 100 });
        const written = new Map<string, { value: number; bytes: number }>();
        for (const [value, one] of steps.entries()) {
          if (one.do === "set") {
            memory.set(one.key, value, one.bytes);
            written.set(one.key, { value, bytes: one.bytes });
            assert.equal(memory.get(one.key), value);
          } else if (one.do === "delete") {
            memory.delete(one.key);
            written.delete(one.key);
          } else {
            // Forgotten, or exactly what was written last.
            const read = memory.get(one.key);
            assert.ok(read === undefined || read === written.get(one.key)?.value);
          }
          const held = [...written].filter(([name]) => memory.get(name) !== undefined);
          assert.equal(memory.size, held.length);
          assert.equal(
            memory.bytes,
            held.reduce((sum, [, { bytes }]) => sum + bytes, 0),
          );
          assert.ok(memory.size <= 4 && memory.bytes <= 100);
        }
      }),
    );
  });

  test("set() forgets what was not read before what was", () => {
    const memory = createBoundedMemory<number>({ maxEntries: 3, maxBytes: 1_000 });
    memory.set("old and read", 1, 1);
    memory.set("old", 2, 1);
    memory.set("newer", 3, 1);
    memory.get("old and read");
    memory.set("newest", 4, 1);
    assert.equal(memory.get("old"), undefined);
    assert.equal(memory.get("old and read"), 1);
  });

  test("set() keeps nothing that is larger than all its room, and nothing at all without room", () => {
    const memory = createBoundedMemory<number>({ maxEntries: 3, maxBytes: 10 });
    memory.set("a", 1, 5);
    memory.set("b", 2, 11);
    assert.equal(memory.get("a"), 1);
    assert.equal(memory.get("b"), undefined);
    const none = createBoundedMemory<number>({ maxEntries: 0, maxBytes: 10 });
    none.set("a", 1, 1);
    assert.equal(none.size, 0);
  });
});
