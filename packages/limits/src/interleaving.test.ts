import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { systemRandom } from "@tidegate/clock";
import * as fc from "fast-check";
import { attachLimiter } from "./create-limiter.ts";
import type { LimitDefinition } from "./limit-definition.ts";
import { createLimitReport, createReservation, OUTCOME, type Limiter } from "./limiter.ts";
import { beginLockOwner, createLimiterMemory, type LimiterMemory } from "./limiter-memory.ts";
import { TableLimiter } from "./table-limiter.ts";
import { SharedLocks, type LockResult, type RecordLocks } from "./record-lock.ts";

/**
 * Another thread's work put between two steps of a call: it runs each time the call is about to take a lock and holds
 * none, which is where another thread can get in between.
 */
class InterruptedLocks implements RecordLocks {
  readonly isShared = true;
  interrupt: () => void = () => {};
  readonly #locks: SharedLocks;
  #held = 0;

  constructor(memory: LimiterMemory, owner: number) {
    this.#locks = new SharedLocks(new Int32Array(memory.buffer), beginLockOwner(memory, owner));
  }
  get broken(): number {
    return this.#locks.broken;
  }
  get timedOut(): number {
    return this.#locks.timedOut;
  }
  take(at: number): LockResult {
    if (this.#held === 0) this.interrupt();
    const lock = this.#locks.take(at);
    if (lock !== 0) this.#held++;
    return lock;
  }
  tryTake(at: number): LockResult {
    const lock = this.#locks.tryTake(at);
    if (lock !== 0) this.#held++;
    return lock;
  }
  release(at: number): void {
    this.#held--;
    this.#locks.release(at);
  }
}

interface Step {
  readonly key: string;
  readonly waitMs: number;
  readonly cost: number;
  readonly do: "acquire" | "refund" | "sweep";
}

function openTwo(definitions: readonly LimitDefinition[]) {
  const memory = createLimiterMemory({ definitions, random: systemRandom, reservationMs: 30_000 });
  const locks = new InterruptedLocks(memory, 1);
  const interrupted = new TableLimiter({ memory, locks, maxHandles: 100 });
  const other = attachLimiter({ memory, lockOwner: beginLockOwner(memory, 2), maxHandles: 100 });
  return { locks, interrupted, other };
}

const report = createLimitReport();

function take(limiter: Limiter, key: string, nowMs: number, cost = 1): boolean {
  const handles = Int32Array.of(limiter.intern(0, key));
  const outcome = limiter.acquire(handles, Int32Array.of(cost), 1, nowMs, report);
  limiter.release(handles[0]!);
  return outcome === OUTCOME.admitted;
}

describe("a call with another thread in between", () => {
  test("a caller sent to a coarse record is not charged there once it has a record of its own", () => {
    const { locks, interrupted, other } = openTwo([
      { kind: "window", name: "w", limit: 3, seconds: 60, maxKeys: 1 },
    ]);
    take(other, "first", 0);
    let interruptions = 0;
    let byOther = 0;
    // Ada finds the table full and goes to a coarse record; before she locks it, the first caller's record falls
    // idle, becomes hers, and is spent.
    locks.interrupt = () => {
      if (++interruptions !== 2) return;
      for (let unit = 0; unit < 5; unit++) byOther += take(other, "ada", 61_000) ? 1 : 0;
    };
    const byInterrupted = take(interrupted, "ada", 59_000) ? 1 : 0;
    assert.equal(byOther, 3);
    assert.equal(byInterrupted, 0);
  });

  test("a record taken back and given away after it was found is not charged for the earlier caller", () => {
    const { locks, interrupted, other } = openTwo([
      { kind: "window", name: "w", limit: 3, seconds: 60, maxKeys: 1 },
    ]);
    const handles = Int32Array.of(interrupted.intern(0, "ada"));
    interrupted.acquire(handles, Int32Array.of(1), 1, 0, report);
    locks.interrupt = () => {
      locks.interrupt = () => {};
      assert.equal(take(other, "grace", 61_000), true);
    };
    interrupted.acquire(handles, Int32Array.of(2), 1, 61_000, report);
    other.peek(Int32Array.of(other.intern(0, "grace")), Int32Array.of(1), 1, 61_000, report);
    assert.equal(report.remaining[0], 2);
  });

  test("any work of another thread at any step admits no caller more than its limit", () => {
    const stepAfter = (waitMs: fc.Arbitrary<number>): fc.Arbitrary<Step> =>
      fc.record({
        key: fc.constantFrom("a", "b", "c", "d", "e"),
        waitMs,
        cost: fc.integer({ min: 1, max: 3 }),
        do: fc.constantFrom<Step["do"]>("acquire", "acquire", "refund", "sweep"),
      });
    const calls = fc.array(
      fc.record({
        call: stepAfter(fc.constantFrom(0, 0, 1, 500, 1_000, 1_001)),
        // No time passes within a call here, so that the log's times are those of the decisions.
        between: fc.array(stepAfter(fc.constant(0)), { maxLength: 4 }),
      }),
      { maxLength: 25 },
    );
    for (const precision of ["exact", "sub-windows"] as const) {
      fc.assert(
        fc.property(calls, fc.integer({ min: 1, max: 4 }), (script, maxKeys) => {
          const { locks, interrupted, other } = openTwo([
            { kind: "window", name: "w", limit: 3, seconds: 1, precision, maxKeys },
          ]);
          const log: { key: string; atMs: number; cost: number }[] = [];
          const reservation = createReservation();
          let nowMs = 0;
          const perform = (limiter: Limiter, { key, waitMs, cost, do: how }: Step): void => {
            nowMs += waitMs;
            const atMs = nowMs;
            if (how === "sweep") limiter.sweep(nowMs, 10);
            else if (how === "acquire") {
              if (take(limiter, key, nowMs, cost)) log.push({ key, atMs, cost });
            } else if (reservation.count === 0) {
              const handles = Int32Array.of(limiter.intern(0, key));
              const costs = Int32Array.of(cost);
              limiter.reserve(handles, costs, 1, nowMs, report, reservation);
              limiter.refund(reservation, nowMs);
              limiter.release(handles[0]!);
            }
          };
          for (const { call, between } of script) {
            const rest = [...between];
            locks.interrupt = () => {
              const next = rest.shift();
              if (next !== undefined && reservation.count === 0) perform(other, next);
            };
            perform(interrupted, call);
          }
          for (const last of log) {
            const inWindow = log.filter(
              ({ key, atMs }) => key === last.key && atMs > last.atMs - 1_000 && atMs <= last.atMs,
            );
            assert.ok(inWindow.reduce((sum, entry) => sum + entry.cost, 0) <= 3);
          }
        }),
        { numRuns: 200 },
      );
    }
  });
});
