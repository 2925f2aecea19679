import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { manualClock, systemRandom } from "@tidegate/clock";
import * as fc from "fast-check";
import { bucket, callerOf, exact, subWindows } from "./contract-traffic.ts";
import { createLimiter } from "./create-limiter.ts";
import type { LimitDefinition } from "./limit-definition.ts";
import { excessOfBucket, worstWindow, type Admission } from "./limit-oracle.ts";
import { OUTCOME, type Reservation } from "./limiter.ts";

const daily: LimitDefinition = { kind: "quota", name: "q", limit: 6, period: "day" };
const KINDS: readonly LimitDefinition[] = [
  bucket(4, 10, 6),
  exact(6, 10),
  subWindows(6, 10),
  daily,
];

function open(definitions: readonly LimitDefinition[], reservationMs = 60_000) {
  const limiter = createLimiter({
    definitions: definitions.map((definition) => ({ ...definition, maxKeys: 100 })),
    random: systemRandom,
    clock: manualClock(0),
    reservationMs,
  });
  return {
    limiter,
    caller: callerOf(
      limiter,
      definitions.map((_, index) => index),
    ),
  };
}

for (const definition of KINDS) {
  const label = "precision" in definition ? definition.precision : definition.kind;

  describe(`settle() by what was used (${label})`, () => {
    test("fewer units than reserved: the others are free at once, once", () => {
      const { limiter, caller } = open([definition]);
      const { reservation } = caller.reserve(0, 6);
      assert.equal(limiter.settle(reservation, 1, Int32Array.of(2)), 0);
      assert.equal(limiter.settle(reservation, 1, Int32Array.of(0)), 0);
      assert.equal(caller.acquire(1, 5), OUTCOME.refused);
      assert.equal(caller.acquire(1, 4), OUTCOME.admitted);
      assert.equal(caller.acquire(1, 1), OUTCOME.refused);
    });

    test("more units than reserved are taken where there is room, and told where there is none", () => {
      const { limiter, caller } = open([definition]);
      const first = caller.reserve(0, 2).reservation;
      assert.equal(limiter.settle(first, 0, Int32Array.of(5)), 0);
      caller.peek(0, 1);
      assert.equal(caller.report.remaining[0], 1);
      const second = caller.reserve(0, 1).reservation;
      assert.equal(limiter.settle(second, 0, Int32Array.of(4)), 3);
      assert.equal(caller.acquire(0, 1), OUTCOME.refused);
      assert.equal(limiter.statistics().limits[0]!.overrun, 3);
    });

    test("debit() spends what is used already, and later calls wait for it", () => {
      const { limiter, caller } = open([definition]);
      const handles = Int32Array.of(limiter.intern(0, "ada"));
      assert.equal(limiter.debit(handles, Int32Array.of(4), 1, 0), 0);
      assert.equal(caller.acquire(0, 3), OUTCOME.refused);
      assert.equal(
        limiter.debit(handles, Int32Array.of(4), 1, 9_000),
        definition.kind === "bucket" ? 0 : 2,
      );
      // A window that forgot the last units in place of the first would admit this.
      assert.equal(caller.acquire(10_500, 3), OUTCOME.refused);
      const isAdmitted = caller.acquire(10_500, 2) === OUTCOME.admitted;
      assert.equal(isAdmitted, definition.kind !== "quota");
    });
  });
}

describe("settle()", () => {
  for (const definition of [bucket(4, 10, 6), exact(6, 10), subWindows(6, 10)]) {
    for (const reservationMs of [5_000, 60_000]) {
      const label = `${definition.kind} ${definition.name}, ${reservationMs} ms`;
      test(`with any part used, in any order, keeps the guarantee (${label})`, () => {
        const steps = fc.array(
          fc.record({
            waitMs: fc.oneof(fc.nat(2_000), fc.constantFrom(0, 9_999, 10_000)),
            isReserve: fc.boolean(),
            cost: fc.integer({ min: 1, max: 6 }),
            part: fc.nat(6),
            which: fc.nat(20),
          }),
          { maxLength: 60 },
        );
        fc.assert(
          fc.property(steps, (calls) => {
            const { limiter, caller } = open([definition], reservationMs);
            const log: Admission[] = [];
            const pending: { reservation: Reservation; atMs: number; cost: number }[] = [];
            let atMs = 0;
            for (const { waitMs, isReserve, cost, part, which } of calls) {
              atMs += waitMs;
              if (isReserve || pending.length === 0) {
                const { outcome, reservation } = caller.reserve(atMs, cost);
                if (outcome === OUTCOME.admitted) pending.push({ reservation, atMs, cost });
              } else {
                const [ended] = pending.splice(which % pending.length, 1);
                const actual = Math.min(part, ended!.cost);
                limiter.settle(ended!.reservation, atMs, Int32Array.of(actual));
                // What was used counts from when it was admitted, however late it is told.
                log.push({ atMs: ended!.atMs, cost: actual });
              }
            }
            for (const { atMs: bookedMs, cost } of pending) log.push({ atMs: bookedMs, cost });
            log.sort((a, b) => a.atMs - b.atMs);
            if (definition.kind === "bucket") assert.ok(excessOfBucket(log, definition) <= 0);
            else assert.ok(worstWindow(log, 10_000) <= definition.limit);
          }),
          { numRuns: 150 },
        );
      });
    }
  }

  test("debit() and overruns never make later admissions exceed a window, all of it counted", () => {
    const steps = fc.array(
      fc.record({
        waitMs: fc.oneof(fc.nat(2_000), fc.constantFrom(0, 9_999, 10_000)),
        isDebit: fc.boolean(),
        cost: fc.integer({ min: 1, max: 9 }),
      }),
      { maxLength: 60 },
    );
    for (const definition of [exact(6, 10), subWindows(6, 10)]) {
      fc.assert(
        fc.property(steps, (calls) => {
          const { limiter, caller } = open([definition]);
          const handles = Int32Array.of(limiter.intern(0, "ada"));
          const log: Admission[] = [];
          let atMs = 0;
          for (const { waitMs, isDebit, cost } of calls) {
            atMs += waitMs;
            if (isDebit) {
              limiter.debit(handles, Int32Array.of(cost), 1, atMs);
            } else if (caller.acquire(atMs, cost) === OUTCOME.admitted) {
              const used = log
                .filter((entry) => entry.atMs > atMs - 10_000)
                .reduce((sum, entry) => sum + entry.cost, 0);
              assert.ok(used + cost <= 6);
            } else continue;
            log.push({ atMs, cost });
          }
        }),
        { numRuns: 150 },
      );
    }
  });
});

describe("countDenied", () => {
  for (const definition of [exact(3, 10), subWindows(3, 10)]) {
    test(`attempts that were refused count, so that only silence helps (${definition.precision})`, () => {
      const { caller } = open([{ ...definition, countDenied: true }]);
      for (let attempt = 0; attempt < 3; attempt++) caller.acquire(0, 1);
      // One attempt every 4 s would get through a window that forgives refusals.
      for (let attempt = 1; attempt <= 10; attempt++) {
        assert.equal(caller.acquire(attempt * 2_000, 1), OUTCOME.refused);
      }
      assert.ok(caller.report.retryAfterMs > 3_000, "says when, after the attempt itself counted");
      const waitMs = caller.report.retryAfterMs;
      assert.equal(caller.acquire(20_000 + waitMs, 1), OUTCOME.admitted);
    });
  }

  test("a bucket stays empty while somebody tries on, and makes no debt", () => {
    const { caller } = open([{ ...bucket(1, 10, 3), countDenied: true }]);
    assert.equal(caller.acquire(0, 3), OUTCOME.admitted);
    for (let attempt = 1; attempt <= 20; attempt++) {
      assert.equal(caller.acquire(attempt * 9_000, 1), OUTCOME.refused);
    }
    assert.equal(caller.report.retryAfterMs, 10_000);
    assert.equal(caller.acquire(190_000, 1), OUTCOME.admitted);
  });

  test("what another limit refused is not counted, nor what can never fit", () => {
    const { caller } = open([{ ...exact(3, 10), countDenied: true }, exact(1, 60)]);
    assert.equal(caller.acquire(0, 1, 1), OUTCOME.admitted);
    assert.equal(caller.acquire(0, 1, 1), OUTCOME.refused);
    assert.equal(caller.acquire(0, 4, 0), OUTCOME.impossible);
    caller.peek(0, 1, 0);
    assert.equal(caller.report.remaining[0], 2);
  });
});
