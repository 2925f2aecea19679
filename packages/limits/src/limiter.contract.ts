import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import type { LimitDefinition } from "./limit-definition.ts";
import {
  excessOfBucket,
  oracleAdmitsBucket,
  oracleAdmitsWindow,
  worstWindow,
  type Admission,
} from "./limit-oracle.ts";
import { createLimitReport, createReservation, OUTCOME, type Limiter } from "./limiter.ts";

/** Opens an empty limiter. */
export type OpenLimiter = (
  definitions: readonly LimitDefinition[],
  options?: { readonly reservationMs?: number },
) => Limiter;

const bucket = (count: number, seconds: number, burst: number) =>
  ({ kind: "bucket", name: "b", count, seconds, burst }) as const;
const exact = (limit: number, seconds: number) =>
  ({ kind: "window", name: "w", limit, seconds, precision: "exact" }) as const;
const subWindows = (limit: number, seconds: number) =>
  ({ kind: "window", name: "s", limit, seconds, precision: "sub-windows" }) as const;

/** A caller's view with handles and reports made on the spot. */
function callerOf(limiter: Limiter, limits: readonly number[], key = "ada") {
  const handles = Int32Array.from(limits, (limit) => limiter.intern(limit, key));
  const report = createLimitReport();
  return {
    report,
    acquire: (nowMs: number, ...costs: number[]) =>
      limiter.acquire(handles, Int32Array.from(costs), handles.length, nowMs, report),
    peek: (nowMs: number, ...costs: number[]) =>
      limiter.peek(handles, Int32Array.from(costs), handles.length, nowMs, report),
    reserve: (nowMs: number, ...costs: number[]) => {
      const reservation = createReservation();
      const outcome = limiter.reserve(
        handles,
        Int32Array.from(costs),
        handles.length,
        nowMs,
        report,
        reservation,
      );
      return { outcome, reservation };
    },
  };
}

/** Waits that make boundaries likely, in whole milliseconds, and costs up to the whole capacity. */
const traffic = (seconds: number, capacity: number) =>
  fc.array(
    fc.record({
      waitMs: fc.oneof(
        { weight: 4, arbitrary: fc.nat(3) },
        { weight: 3, arbitrary: fc.nat(seconds * 300) },
        { weight: 2, arbitrary: fc.constantFrom(seconds * 1000 - 1, seconds * 1000) },
        { weight: 1, arbitrary: fc.nat(seconds * 3000) },
      ),
      cost: fc.oneof(
        { weight: 3, arbitrary: fc.constant(1) },
        { weight: 1, arbitrary: fc.integer({ min: 1, max: capacity }) },
      ),
    }),
    { maxLength: 60 },
  );

const RUNS = { numRuns: 150 };

/** What every limiter must keep, whatever it is built on. */
export function limiterContract(name: string, open: OpenLimiter): void {
  describe(`${name} as Limiter: window`, () => {
    test("acquire() on an exact window decides as the log of admissions does, call for call", () => {
      const cases = fc
        .record({ limit: fc.integer({ min: 1, max: 9 }), seconds: fc.integer({ min: 1, max: 20 }) })
        .chain(({ limit, seconds }) =>
          fc.tuple(fc.constant(exact(limit, seconds)), traffic(seconds, limit)),
        );
      fc.assert(
        fc.property(cases, ([definition, calls]) => {
          const caller = callerOf(open([definition]), [0]);
          const log: Admission[] = [];
          let atMs = 0;
          for (const { waitMs, cost } of calls) {
            atMs += waitMs;
            const expected = oracleAdmitsWindow(log, definition, { atMs, cost });
            assert.equal(caller.acquire(atMs, cost) === OUTCOME.admitted, expected);
            if (expected) log.push({ atMs, cost });
          }
        }),
        RUNS,
      );
    });

    test("acquire() on sub-windows never admits more than the limit, and nothing it need not hold after 1/32 more", () => {
      const cases = fc
        .record({
          limit: fc.integer({ min: 1, max: 200 }),
          seconds: fc.integer({ min: 1, max: 20 }),
        })
        .chain(({ limit, seconds }) =>
          fc.tuple(fc.constant(subWindows(limit, seconds)), traffic(seconds, limit)),
        );
      fc.assert(
        fc.property(cases, ([definition, calls]) => {
          const caller = callerOf(open([definition]), [0]);
          const stricter = { ...definition, seconds: (definition.seconds * 33) / 32 };
          const log: Admission[] = [];
          let atMs = 0;
          for (const { waitMs, cost } of calls) {
            atMs += waitMs;
            const isAdmitted = caller.acquire(atMs, cost) === OUTCOME.admitted;
            // The stated price, and a proof that the limiter does not simply refuse.
            if (oracleAdmitsWindow(log, stricter, { atMs, cost })) assert.equal(isAdmitted, true);
            if (isAdmitted) log.push({ atMs, cost });
          }
          assert.ok(worstWindow(log, definition.seconds * 1000) <= definition.limit);
        }),
        RUNS,
      );
    });

    for (const definition of [exact(10, 60), subWindows(10, 60), subWindows(100_000, 60)]) {
      test(`acquire() keeps a burst at the boundary to ${definition.limit} (${definition.precision})`, () => {
        const caller = callerOf(open([definition]), [0]);
        const share = definition.limit / 10;
        const log: Admission[] = [];
        // The attack on fixed and interpolated windows: all of it at the end of one, then greedily.
        for (let atMs = 59_000; atMs < 240_000; atMs += 250) {
          while (caller.acquire(atMs, share) === OUTCOME.admitted) log.push({ atMs, cost: share });
        }
        assert.equal(worstWindow(log, 60_000), definition.limit);
        assert.ok(log.length >= 30, `only ${log.length} of 40 shares were admitted`);
      });

      test(`acquire() keeps weighted calls across the boundary to ${definition.limit} (${definition.precision})`, () => {
        const caller = callerOf(open([definition]), [0]);
        const log: Admission[] = [];
        const costs = [0.9, 0.2, 0.8, 0.1, 1, 0.5].map((part) => part * definition.limit);
        for (let call = 0; call < 1_000; call++) {
          const atMs = call * 531;
          const cost = costs[call % costs.length]!;
          if (caller.acquire(atMs, cost) === OUTCOME.admitted) log.push({ atMs, cost });
        }
        assert.ok(worstWindow(log, 60_000) <= definition.limit);
        assert.ok(log.length >= 9);
      });
    }

    test("acquire() holds a window of 30 days for 30 days", () => {
      const day = 24 * 3600;
      for (const definition of [exact(2, 30 * day), subWindows(2, 30 * day)]) {
        const caller = callerOf(open([definition]), [0]);
        assert.equal(caller.acquire(5, 1), OUTCOME.admitted);
        assert.equal(caller.acquire(5, 1), OUTCOME.admitted);
        for (const dayOf of [0, 1, 24.8, 24.9, 29.99]) {
          assert.equal(caller.acquire(6 + dayOf * day * 1000, 1), OUTCOME.refused);
        }
        assert.equal(caller.acquire(5 + 31 * day * 1000, 2), OUTCOME.admitted);
      }
    });

    test("acquire() on a ring that is never idle stays exact over years of windows", () => {
      const caller = callerOf(open([exact(3, 86_400)]), [0]);
      const log: Admission[] = [];
      // Never a whole window without a call, for three years: stored times go round their 32 bits.
      for (let call = 0; call < 3_500; call++) {
        const atMs = Math.floor(call * 27_000_000 + (call % 7) * 1_000_000);
        const last = log.slice(-10);
        const expected = oracleAdmitsWindow(last, exact(3, 86_400), { atMs, cost: 1 });
        assert.equal(caller.acquire(atMs, 1) === OUTCOME.admitted, expected);
        if (expected) log.push({ atMs, cost: 1 });
      }
      assert.ok(log.length > 2_500);
    });

    for (const definition of [exact(4, 10), subWindows(4, 10)]) {
      test(`acquire() with times out of order decides at the latest time seen (${definition.precision})`, () => {
        const calls = fc.array(fc.tuple(fc.nat(40_000), fc.integer({ min: 1, max: 4 })), {
          maxLength: 60,
        });
        fc.assert(
          fc.property(calls, (timed) => {
            const caller = callerOf(open([definition]), [0]);
            const log: Admission[] = [];
            let seenMs = 0;
            // Mostly forward, often back.
            for (const [index, [jitterMs, cost]] of timed.entries()) {
              const nowMs = index * 1_500 + (jitterMs % 9_000);
              // A ring remembers admissions, sub-windows every look.
              seenMs = Math.max(
                nowMs,
                definition.precision === "exact" ? (log.at(-1)?.atMs ?? 0) : seenMs,
              );
              const atMs = seenMs;
              const isAdmitted = caller.acquire(nowMs, cost) === OUTCOME.admitted;
              const isAllowed = oracleAdmitsWindow(log, definition, { atMs, cost });
              if (definition.precision === "exact") assert.equal(isAdmitted, isAllowed);
              else assert.ok(isAllowed || !isAdmitted);
              if (isAdmitted) log.push({ atMs, cost });
            }
          }),
          RUNS,
        );
      });
    }

    test("acquire() with fractions of a millisecond never admits early and at most one stated step late", () => {
      const caller = callerOf(open([exact(1, 60)]), [0]);
      assert.equal(caller.acquire(1_000.123_456, 1), OUTCOME.admitted);
      assert.equal(caller.acquire(61_000.123, 1), OUTCOME.refused);
      assert.equal(caller.acquire(61_000.123_456 + 60_000 / 2 ** 20, 1), OUTCOME.admitted);
    });
  });

  describe(`${name} as Limiter: bucket`, () => {
    // Rates that divide the tick, so that the engine's rounding (always towards refusing) is nothing.
    const dyadic = fc.record({
      count: fc.constantFrom(1, 2, 4, 8, 64),
      seconds: fc.integer({ min: 1, max: 20 }),
      burst: fc.integer({ min: 1, max: 12 }),
    });

    test("acquire() decides as the definition does over all intervals, call for call", () => {
      const cases = dyadic.chain(({ count, seconds, burst }) =>
        fc.tuple(fc.constant(bucket(count, seconds, burst)), traffic(seconds, burst)),
      );
      fc.assert(
        fc.property(cases, ([definition, calls]) => {
          const caller = callerOf(open([definition]), [0]);
          const log: Admission[] = [];
          let atMs = 0;
          for (const { waitMs, cost } of calls.slice(0, 30)) {
            atMs += waitMs;
            const expected = oracleAdmitsBucket(log, definition, { atMs, cost });
            assert.equal(caller.acquire(atMs, cost) === OUTCOME.admitted, expected);
            if (expected) log.push({ atMs, cost });
          }
        }),
        RUNS,
      );
    });

    test("acquire() keeps the guarantee when the calls' times are out of order", () => {
      const cases = fc.tuple(
        fc.record({
          count: fc.integer({ min: 1, max: 70 }),
          seconds: fc.integer({ min: 1, max: 7 }),
          burst: fc.integer({ min: 1, max: 12 }),
        }),
        fc.array(fc.tuple(fc.nat(8_000), fc.integer({ min: 1, max: 12 })), { maxLength: 40 }),
      );
      fc.assert(
        fc.property(cases, ([{ count, seconds, burst }, calls]) => {
          const definition = bucket(count, seconds, burst);
          const caller = callerOf(open([definition]), [0]);
          const log: Admission[] = [];
          for (const [atMs, cost] of calls) {
            if (caller.acquire(atMs, cost) === OUTCOME.admitted) log.push({ atMs, cost });
          }
          assert.ok(excessOfBucket(log, definition) <= 0);
        }),
        RUNS,
      );
    });

    test("acquire() at a rate that divides nothing runs slower by a tick at most, never faster", () => {
      const caller = callerOf(open([bucket(7, 3, 1)]), [0]);
      let admitted = 0;
      for (let atMs = 0; atMs <= 300_000; atMs += 1) {
        if (caller.acquire(atMs, 1) === OUTCOME.admitted) admitted++;
      }
      assert.ok(admitted <= 701 && admitted >= 698, `${admitted} of 701`);
    });
  });

  describe(`${name} as Limiter: any kind`, () => {
    const kinds: readonly LimitDefinition[] = [bucket(4, 10, 6), exact(6, 10), subWindows(6, 10)];

    for (const definition of kinds) {
      const label =
        definition.kind === "bucket" ? "bucket" : `${definition.kind} ${definition.precision}`;

      test(`acquire() is monotone in cost: what is refused to a cost is refused to every larger one (${label})`, () => {
        fc.assert(
          fc.property(traffic(10, 6), (calls) => {
            const caller = callerOf(open([definition]), [0]);
            let atMs = 0;
            for (const { waitMs, cost } of calls) {
              atMs += waitMs;
              const outcomes = [1, 2, 3, 4, 5, 6].map((tried) => caller.peek(atMs, tried));
              assert.deepEqual(
                outcomes,
                outcomes.toSorted((a, b) => a - b),
              );
              // What remains is the largest cost that passes.
              caller.peek(atMs, 1);
              assert.equal(
                outcomes.filter((outcome) => outcome === OUTCOME.admitted).length,
                caller.report.remaining[0],
              );
              caller.acquire(atMs, cost);
            }
          }),
          { numRuns: 60 },
        );
      });

      test(`acquire() is admitted after retryAfterMs, and the whole capacity after resetMs (${label})`, () => {
        fc.assert(
          fc.property(traffic(10, 6), (calls) => {
            const limiter = open([definition]);
            const caller = callerOf(limiter, [0]);
            let atMs = 0;
            for (const { waitMs, cost } of calls) {
              atMs += waitMs;
              if (caller.acquire(atMs, cost) !== OUTCOME.refused) continue;
              const { retryAfterMs } = caller.report;
              assert.ok(
                retryAfterMs >= 1 && retryAfterMs <= 15_000 && caller.report.violatedCount === 1,
              );
              if (definition.kind === "bucket" || definition.precision === "exact") {
                assert.equal(caller.peek(atMs + retryAfterMs - 2, cost), OUTCOME.refused);
              }
              atMs += retryAfterMs;
              assert.equal(caller.peek(atMs, cost), OUTCOME.admitted);
            }
            caller.peek(atMs, 1);
            assert.equal(caller.peek(atMs + caller.report.resetMs[0]!, 6), OUTCOME.admitted);
          }),
          { numRuns: 60 },
        );
      });

      test(`acquire() refuses a cost above the capacity as impossible, and spends nothing (${label})`, () => {
        const caller = callerOf(open([definition]), [0]);
        assert.equal(caller.acquire(0, 7), OUTCOME.impossible);
        assert.equal(caller.report.retryAfterMs, Number.POSITIVE_INFINITY);
        assert.equal(caller.report.remaining[0], 6);
        assert.equal(caller.acquire(0, 6), OUTCOME.admitted);
      });

      test(`acquire() with a clock that went back decides at the later time (${label})`, () => {
        const caller = callerOf(open([definition]), [0]);
        assert.equal(caller.acquire(50_000, 6), OUTCOME.admitted);
        assert.equal(caller.acquire(10_000, 1), OUTCOME.refused);
        assert.ok(caller.report.retryAfterMs > 40_000);
      });

      test(`refund() makes a reservation as if it had never been (${label})`, () => {
        fc.assert(
          fc.property(traffic(10, 6), fc.integer({ min: 1, max: 6 }), (calls, tried) => {
            // Two limiters see the same calls; one of them also reserves and refunds in the same instant.
            const [plain, busy] = [open([definition]), open([definition])];
            const [left, right] = [callerOf(plain, [0]), callerOf(busy, [0])];
            let atMs = 0;
            for (const { waitMs, cost } of calls) {
              atMs += waitMs;
              const { outcome, reservation } = right.reserve(atMs, tried);
              assert.equal(outcome, left.peek(atMs, tried));
              busy.refund(reservation, atMs);
              busy.refund(reservation, atMs);
              assert.equal(right.acquire(atMs, cost), left.acquire(atMs, cost));
            }
          }),
          { numRuns: 60 },
        );
      });

      // The shorter one lets some expire, the longer one lets a bucket refill meanwhile.
      for (const reservationMs of [5_000, 60_000]) {
        test(`reserve() with later settles and refunds in any order keeps the guarantee (${label}, ${reservationMs} ms)`, () => {
          const steps = fc.array(
            fc.record({
              waitMs: fc.oneof(fc.nat(2_000), fc.constantFrom(0, 9_999, 10_000)),
              do: fc.constantFrom("reserve", "reserve", "acquire", "settle", "refund", "refund"),
              cost: fc.integer({ min: 1, max: 6 }),
              which: fc.nat(20),
            }),
            { maxLength: 60 },
          );
          fc.assert(
            fc.property(steps, (calls) => {
              const limiter = open([definition], { reservationMs });
              const caller = callerOf(limiter, [0]);
              const log: Admission[] = [];
              const open_: { reservation: ReturnType<typeof createReservation>; at: Admission }[] =
                [];
              let atMs = 0;
              for (const step of calls) {
                atMs += step.waitMs;
                if (step.do === "reserve") {
                  const { outcome, reservation } = caller.reserve(atMs, step.cost);
                  if (outcome !== OUTCOME.admitted) continue;
                  const at = { atMs, cost: step.cost };
                  log.push(at);
                  open_.push({ reservation, at });
                } else if (step.do === "acquire") {
                  if (caller.acquire(atMs, step.cost) === OUTCOME.admitted) {
                    log.push({ atMs, cost: step.cost });
                  }
                } else if (open_.length > 0) {
                  const [ended] = open_.splice(step.which % open_.length, 1);
                  if (step.do === "settle") limiter.settle(ended!.reservation, atMs);
                  else limiter.refund(ended!.reservation, atMs);
                  // Refunded is not admitted, however long it was held.
                  if (step.do === "refund") log.splice(log.indexOf(ended!.at), 1);
                }
              }
              if (definition.kind === "bucket") assert.ok(excessOfBucket(log, definition) <= 0);
              else assert.ok(worstWindow(log, 10_000) <= definition.limit);
            }),
            { numRuns: 200 },
          );
        });
      }

      test(`refund() of units held while everything came back gives no second budget (${label})`, () => {
        const limiter = open([definition], { reservationMs: 60_000 });
        const caller = callerOf(limiter, [0]);
        const { reservation } = caller.reserve(0, 6);
        // 33 sub-windows later: the counter that the reservation was booked in serves again.
        const nowMs = 10_313;
        const isSpent = caller.acquire(nowMs, 6) === OUTCOME.admitted;
        assert.equal(isSpent, definition.kind === "window");
        limiter.refund(reservation, nowMs);
        assert.equal(caller.acquire(nowMs, 6), isSpent ? OUTCOME.refused : OUTCOME.admitted);
        assert.equal(caller.acquire(nowMs, 1), OUTCOME.refused);
      });

      test(`settle() and refund() of what expired give nothing back, and nothing stays lost (${label})`, () => {
        const limiter = open([definition], { reservationMs: 5_000 });
        const caller = callerOf(limiter, [0]);
        const lost = caller.reserve(0, 6).reservation;
        // Its holder never came back; long after, the whole capacity is there again.
        assert.equal(caller.acquire(40_000, 6), OUTCOME.admitted);
        limiter.refund(lost, 40_001);
        assert.equal(caller.acquire(40_002, 1), OUTCOME.refused);
      });
    }

    test("acquire() takes of all limits or of none, names those that refused, and the latest time to come back", () => {
      const limiter = open([bucket(1, 1, 2), exact(3, 60), subWindows(100, 60)]);
      const caller = callerOf(limiter, [0, 1, 2]);
      const { report } = caller;
      assert.equal(caller.acquire(0, 1, 1, 50), OUTCOME.admitted);
      assert.equal(caller.acquire(0, 1, 1, 51), OUTCOME.refused);
      assert.deepEqual(Array.from(report.violated.slice(0, report.violatedCount)), [2]);
      assert.deepEqual(Array.from(report.remaining.slice(0, 3)), [1, 2, 50]);
      assert.equal(caller.acquire(0, 1, 2, 50), OUTCOME.admitted);
      assert.equal(caller.acquire(1, 1, 1, 1), OUTCOME.refused);
      assert.deepEqual(Array.from(report.violated.slice(0, report.violatedCount)), [0, 1, 2]);
      assert.deepEqual(Array.from(report.retryAfterEachMs.slice(0, 2)), [999, 59_999]);
      assert.equal(report.retryAfterMs, Math.max(...report.retryAfterEachMs.subarray(0, 3)));
      // Beside an impossible cost the others are untouched too.
      assert.equal(caller.acquire(1_000, 1, 0, 101), OUTCOME.impossible);
      assert.equal(caller.acquire(1_000, 1, 0, 0), OUTCOME.admitted);
    });

    test("acquire() over several limits keeps each under any traffic, and refuses only when one must", () => {
      fc.assert(
        fc.property(traffic(10, 4), (calls) => {
          const definitions = [bucket(4, 10, 6), exact(6, 10), exact(8, 20)] as const;
          const caller = callerOf(open(definitions), [0, 1, 2]);
          const log: Admission[] = [];
          let atMs = 0;
          for (const { waitMs, cost } of calls.slice(0, 40)) {
            atMs += waitMs;
            const call = { atMs, cost };
            const expected =
              oracleAdmitsBucket(log, definitions[0], call) &&
              oracleAdmitsWindow(log, definitions[1], call) &&
              oracleAdmitsWindow(log, definitions[2], call);
            assert.equal(caller.acquire(atMs, cost, cost, cost) === OUTCOME.admitted, expected);
            if (expected) log.push(call);
          }
        }),
        { numRuns: 60 },
      );
    });

    test("acquire() that names one caller twice checks both costs against the same units", () => {
      const limiter = open([exact(5, 60)]);
      const caller = callerOf(limiter, [0, 0]);
      assert.equal(caller.acquire(0, 3, 3), OUTCOME.impossible);
      assert.equal(caller.acquire(0, 2, 2), OUTCOME.admitted);
      assert.equal(caller.acquire(0, 1, 1), OUTCOME.refused);
      assert.equal(caller.acquire(0, 1, 0), OUTCOME.admitted);
    });

    test("callers are told apart, and two handles of one caller share its budget", () => {
      const limiter = open([exact(1, 60)]);
      assert.equal(callerOf(limiter, [0], "ada").acquire(0, 1), OUTCOME.admitted);
      assert.equal(callerOf(limiter, [0], "ada").acquire(0, 1), OUTCOME.refused);
      assert.equal(callerOf(limiter, [0], "adb").acquire(0, 1), OUTCOME.admitted);
      assert.equal(callerOf(limiter, [0], "ad\u0000").acquire(0, 1), OUTCOME.admitted);
      assert.equal(callerOf(limiter, [0], "ad").acquire(0, 1), OUTCOME.admitted);
      assert.equal(callerOf(limiter, [0], "").acquire(0, 1), OUTCOME.admitted);
    });
  });
}
