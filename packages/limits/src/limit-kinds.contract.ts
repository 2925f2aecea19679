import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import {
  bucket,
  callerOf,
  exact,
  subWindows,
  traffic,
  runsOf,
  type ContractTraits,
  type OpenLimiter,
} from "./contract-traffic.ts";
import {
  excessOfBucket,
  oracleAdmitsBucket,
  oracleAdmitsWindow,
  worstWindow,
  type Admission,
} from "./limit-oracle.ts";
import { OUTCOME } from "./limiter.ts";

/** What each kind promises by itself, compared with an exact log of admissions. */
export function limitKindsContract(name: string, open: OpenLimiter, traits: ContractTraits): void {
  const RUNS = runsOf(traits, 150);

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

    for (const definition of [
      exact(10, 60),
      // Counters of 8, 16 and 32 bits.
      subWindows(10, 60),
      subWindows(1_000, 60),
      subWindows(100_000, 60),
    ]) {
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
      const calls = Math.max(1_000, 3_500 * traits.effort);
      for (let call = 0; call < calls; call++) {
        const atMs = Math.floor(call * 27_000_000 + (call % 7) * 1_000_000);
        const last = log.slice(-10);
        const expected = oracleAdmitsWindow(last, exact(3, 86_400), { atMs, cost: 1 });
        assert.equal(caller.acquire(atMs, 1) === OUTCOME.admitted, expected);
        if (expected) log.push({ atMs, cost: 1 });
      }
      assert.ok(log.length > calls * 0.7);
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
              // Sub-windows in memory remember every look, everything else admissions.
              const isRemembered = definition.precision === "exact" || traits.hasOwnTime;
              seenMs = Math.max(nowMs, isRemembered ? (log.at(-1)?.atMs ?? 0) : seenMs);
              const atMs = seenMs;
              const isAdmitted = caller.acquire(nowMs, cost) === OUTCOME.admitted;
              const isAllowed = oracleAdmitsWindow(log, definition, { atMs, cost });
              if (definition.precision === "exact" && !traits.hasOwnTime)
                assert.equal(isAdmitted, isAllowed);
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
      const { resolutionMs } = traits;
      assert.equal(caller.acquire(61_000.123 - resolutionMs, 1), OUTCOME.refused);
      const stepMs = Math.max(60_000 / 2 ** 20, resolutionMs);
      assert.equal(caller.acquire(61_000.123_456 + stepMs, 1), OUTCOME.admitted);
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
          for (const [nowMs, cost] of calls) {
            const atMs = traits.hasOwnTime ? Math.max(nowMs, log.at(-1)?.atMs ?? 0) : nowMs;
            if (caller.acquire(nowMs, cost) === OUTCOME.admitted) log.push({ atMs, cost });
          }
          assert.ok(excessOfBucket(log, definition) <= 0);
        }),
        RUNS,
      );
    });

    test("acquire() at a rate that divides nothing runs slower by a tick at most, never faster", () => {
      const caller = callerOf(open([bucket(7, 3, 1)]), [0]);
      let admitted = 0;
      const most = 1 + Math.ceil(700 * traits.effort);
      const untilMs = (most - 1) * (3_000 / 7);
      for (let atMs = 0; atMs <= untilMs; atMs += 1) {
        if (caller.acquire(atMs, 1) === OUTCOME.admitted) admitted++;
      }
      assert.ok(admitted <= most && admitted >= most - 3, `${admitted} of ${most}`);
    });
  });
}
