// Runs alone: it counts bytes that optimised code allocates, and a busy machine optimises late.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { getHeapStatistics } from "node:v8";
import { systemRandom } from "@tidegate/clock";
import { attachLimiter, createLimiter } from "./create-limiter.ts";
import type { LimitDefinition } from "./limit-definition.ts";
import { createLimitReport, createReservation, type Limiter } from "./limiter.ts";
import { beginLockOwner, createLimiterMemory } from "./limiter-memory.ts";

const definitions: readonly LimitDefinition[] = [
  { kind: "bucket", name: "b", count: 1_000_000, seconds: 1, burst: 1_000 },
  { kind: "window", name: "w", limit: 10, seconds: 0.005 },
  { kind: "window", name: "s", limit: 1_000_000, seconds: 60 },
];

// So many that what reading the count itself adds stays below two thirds of a byte a call: the runtime gives up the
// rest of the thread's allocation area for it, up to 256 KiB, and counts that as allocated.
const CALLS = 400_000;

/** Bytes per call of the leanest of some rounds: code that is not optimised yet boxes doubles, and the compiler allocates too. */
function bytesPerCall(call: (nowMs: number) => void, enough = 1): number {
  let nowMs = 1_000;
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 20 && least >= enough; round++) {
    const before = getHeapStatistics().total_allocated_bytes;
    for (let index = 0; index < CALLS; index++) call(nowMs++);
    least = Math.min(least, (getHeapStatistics().total_allocated_bytes - before) / CALLS);
  }
  return least;
}

const limiters: readonly (readonly [string, () => Limiter])[] = [
  ["createLimiter()", () => createLimiter({ definitions, random: systemRandom })],
  [
    "attachLimiter()",
    () => {
      const memory = createLimiterMemory({ definitions, random: systemRandom, reservationMs: 9 });
      return attachLimiter({ memory, lockOwner: beginLockOwner(memory, 1) });
    },
  ],
];

describe("allocation", () => {
  test("the measure sees a double that is boxed", () => {
    const boxes: { value: number }[] = [];
    const bytes = bytesPerCall((nowMs) => {
      boxes[0] = { value: nowMs + 0.5 };
    });
    assert.ok(bytes >= 8, `${bytes} bytes a call`);
  });

  for (const [name, openLimiter] of limiters) {
    test(`acquire() of three limits allocates nothing (${name})`, () => {
      const limiter = openLimiter();
      const handles = Int32Array.of(0, 1, 2).map((limit) => limiter.intern(limit, "ada"));
      const costs = Int32Array.of(1, 1, 1);
      const report = createLimitReport();
      let admitted = 0;
      const bytes = bytesPerCall((nowMs) => {
        if (limiter.acquire(handles, costs, 3, nowMs, report) === 0) admitted++;
      });
      assert.ok(bytes < 1, `${bytes} bytes a call`);
      assert.ok(admitted > CALLS);
    });
  }

  test("reserve() and settle() allocate at most the numbers that settling passes on", () => {
    const limiter = limiters[0]![1]();
    const handles = Int32Array.of(0, 1).map((limit) => limiter.intern(limit, "ada"));
    const costs = Int32Array.of(1, 1);
    const report = createLimitReport();
    const reservation = createReservation();
    const bytes = bytesPerCall((nowMs) => {
      limiter.reserve(handles, costs, 2, nowMs, report, reservation);
      limiter.settle(reservation, nowMs);
    }, 100);
    assert.ok(bytes < 100, `${bytes} bytes a call`);
  });
});
