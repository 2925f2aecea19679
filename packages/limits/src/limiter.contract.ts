import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import {
  bucket,
  callerOf,
  exact,
  subWindows,
  traffic,
  IN_MEMORY,
  runsOf,
  type ContractTraits,
  type OpenLimiter,
} from "./contract-traffic.ts";
import type { BucketDefinition, WindowDefinition } from "./limit-definition.ts";
import { concurrencyContract } from "./concurrency.contract.ts";
import { limitKindsContract } from "./limit-kinds.contract.ts";
import {
  excessOfBucket,
  oracleAdmitsBucket,
  oracleAdmitsWindow,
  worstWindow,
  type Admission,
} from "./limit-oracle.ts";
import { OUTCOME, type Reservation } from "./limiter.ts";
import { quotaContract } from "./quota.contract.ts";

/** What every limiter must keep, whatever it is built on. */
export function limiterContract(
  name: string,
  open: OpenLimiter,
  traits: ContractTraits = IN_MEMORY,
): void {
  limitKindsContract(name, open, traits);
  quotaContract(name, open, traits);
  if (traits.hasConcurrency) concurrencyContract(name, open, traits);

  describe(`${name} as Limiter: any kind`, () => {
    const kinds: readonly (BucketDefinition | WindowDefinition)[] = [
      bucket(4, 10, 6),
      exact(6, 10),
      subWindows(6, 10),
    ];

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
          runsOf(traits, 60),
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
          runsOf(traits, 60),
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
          runsOf(traits, 60),
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
              const open_: { reservation: Reservation; at: Admission }[] = [];
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
            runsOf(traits, 200),
          );
        });
      }

      const skip = traits.refundsLast ? false : "a lease that ended meanwhile counts as spent";
      test(
        `refund() of units held while everything came back gives no second budget (${label})`,
        { skip },
        () => {
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
        },
      );

      test(`settle() by what was used frees the others at once, and once (${label})`, () => {
        const limiter = open([definition]);
        const caller = callerOf(limiter, [0]);
        const { reservation } = caller.reserve(0, 6);
        limiter.settle(reservation, 1, Int32Array.of(2));
        limiter.settle(reservation, 1, Int32Array.of(0));
        assert.equal(caller.acquire(1, 5), OUTCOME.refused);
        assert.equal(caller.acquire(1, 4), OUTCOME.admitted);
        assert.equal(caller.acquire(1, 1), OUTCOME.refused);
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
      assert.equal(
        report.retryAfterMs,
        Math.ceil(Math.max(...report.retryAfterEachMs.subarray(0, 3))),
      );
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
        runsOf(traits, 60),
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
