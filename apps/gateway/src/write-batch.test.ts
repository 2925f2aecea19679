import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { describe, test } from "node:test";
import { flushSoon, type BatchedWriter } from "./write-batch.ts";

describe("flushSoon()", () => {
  test("flushes all in their order when the turn is over, and not before", async () => {
    const flushed: string[] = [];
    const writer = (name: string): BatchedWriter => ({ flushBatch: () => void flushed.push(name) });
    flushSoon(writer("first"));
    flushSoon(writer("second"));
    await Promise.resolve();
    assert.deepEqual(flushed, []);
    await turn();
    assert.deepEqual(flushed, ["first", "second"]);
  });

  test("flushes who comes during a flush in the next turn, once", async () => {
    const flushed: string[] = [];
    const late: BatchedWriter = { flushBatch: () => void flushed.push("late") };
    flushSoon({
      flushBatch() {
        flushed.push("early");
        flushSoon(late);
      },
    });
    await turn();
    await turn();
    await turn();
    assert.deepEqual(flushed, ["early", "late"]);
  });
});
