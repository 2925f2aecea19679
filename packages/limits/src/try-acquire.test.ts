import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { systemRandom } from "@tidegate/clock";
import * as fc from "fast-check";
import { bucket, exact, subWindows } from "./contract-traffic.ts";
import { attachLimiter, createLimiter } from "./create-limiter.ts";
import type { EmbeddedLimiter } from "./embedded-limiter.ts";
import type { LimitDefinition } from "./limit-definition.ts";
import { createLimitReport, NO_HANDLE, OUTCOME } from "./limiter.ts";
import { beginLockOwner, createLimiterMemory } from "./limiter-memory.ts";

const open: Record<string, (definitions: readonly LimitDefinition[]) => EmbeddedLimiter> = {
  createLimiter: (definitions) =>
    createLimiter({ definitions, random: systemRandom, maxHandles: 100 }),
  attachLimiter(definitions) {
    const random = systemRandom;
    const memory = createLimiterMemory({ definitions, random, reservationMs: 30_000 });
    return attachLimiter({ memory, lockOwner: beginLockOwner(memory, 1), maxHandles: 100 });
  },
};

function callersOf(limiter: EmbeddedLimiter, count: number) {
  const handles = Int32Array.from({ length: count }, (_, limit) => limiter.intern(limit, "ada"));
  const report = createLimitReport();
  return {
    handles,
    acquire: (nowMs: number, costs: Int32Array) =>
      limiter.acquire(handles, costs, count, nowMs, report),
    tryAcquire: (nowMs: number, costs: Int32Array) =>
      limiter.tryAcquire(handles, costs, count, nowMs),
  };
}

for (const [name, make] of Object.entries(open)) {
  describe(`${name}(): tryAcquire()`, () => {
    test("of a run decides as acquire() of its calls one after the other, and tells no difference later", () => {
      const sets: readonly (readonly LimitDefinition[])[] = [
        [bucket(5, 1, 12)],
        [exact(10, 2)],
        [subWindows(10, 2)],
        [bucket(5, 1, 12), exact(10, 2)],
      ];
      let runs = 0;
      let misses = 0;
      fc.assert(
        fc.property(
          fc.constantFrom(...sets),
          fc.array(fc.tuple(fc.nat(700), fc.integer({ min: 1, max: 9 }), fc.integer({ max: 2 })), {
            maxLength: 40,
          }),
          (definitions, calls) => {
            const [inRuns, singly] = [make(definitions), make(definitions)].map((limiter) =>
              callersOf(limiter, definitions.length),
            ) as [ReturnType<typeof callersOf>, ReturnType<typeof callersOf>];
            const cost = new Int32Array(definitions.length);
            let nowMs = 0;
            for (const [afterMs, messages, each] of calls) {
              nowMs += afterMs;
              cost.fill(Math.max(1, each));
              let admitted = 0;
              for (let at = 0; at < messages; at += 1)
                if (singly.acquire(nowMs, cost) === OUTCOME.admitted) admitted += 1;
              const isRun = inRuns.tryAcquire(
                nowMs,
                cost.map((one) => one * messages),
              );
              if (isRun) {
                runs += 1;
                assert.equal(admitted, messages);
                continue;
              }
              misses += 1;
              let then = 0;
              for (let at = 0; at < messages; at += 1)
                if (inRuns.acquire(nowMs, cost) === OUTCOME.admitted) then += 1;
              assert.equal(then, admitted);
            }
          },
        ),
        { numRuns: 100 },
      );
      assert.ok(runs > 100 && misses > 100, `${runs} runs and ${misses} misses tell nothing`);
    });

    test("that does not admit counts no refusal and charges no attempt", () => {
      const limiter = make([{ ...exact(3, 10), countDenied: true }]);
      const { tryAcquire, acquire } = callersOf(limiter, 1);
      assert.equal(acquire(0, Int32Array.of(1)), OUTCOME.admitted);
      assert.equal(tryAcquire(1, Int32Array.of(3)), false);
      assert.equal(tryAcquire(1, Int32Array.of(4)), false);
      assert.equal(limiter.statistics().limits[0]!.refusals, 0);
      assert.equal(tryAcquire(2, Int32Array.of(2)), true);
      assert.equal(tryAcquire(3, Int32Array.of(1)), false);
    });

    test("says false of what it could not count as one after the other: shadow mode, nobody", () => {
      const limiter = make([{ ...exact(3, 10), shadow: true }, exact(3, 10)]);
      const { tryAcquire, acquire, handles } = callersOf(limiter, 2);
      assert.equal(acquire(0, Int32Array.of(1, 1)), OUTCOME.admitted);
      assert.equal(tryAcquire(0, Int32Array.of(1, 1)), false);
      assert.equal(limiter.tryAcquire(handles, Int32Array.of(1), 1, 0), false);
      handles[0] = NO_HANDLE;
      assert.equal(limiter.tryAcquire(handles, Int32Array.of(1), 1, 0), false);
      assert.equal(tryAcquire(0, Int32Array.of(1, 1)), false);
      // Nothing of the second limit was taken on the way.
      assert.equal(limiter.tryAcquire(handles.subarray(1), Int32Array.of(2), 1, 0), true);
    });
  });
}
