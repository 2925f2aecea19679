import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { manualClock } from "@tidegate/clock";
import * as fc from "fast-check";
import { periodAt } from "./calendar-period.ts";
import { callerOf, runsOf, type ContractTraits, type OpenLimiter } from "./contract-traffic.ts";
import type { QuotaDefinition } from "./limit-definition.ts";
import { OUTCOME } from "./limiter.ts";

const MIDNIGHT = Temporal.Instant.from("2026-11-22T23:00Z").epochMilliseconds;
const DAY_MS = 86_400_000;

const quota = (more: Partial<QuotaDefinition> = {}): QuotaDefinition => ({
  kind: "quota",
  name: "daily",
  limit: 5,
  period: "day",
  timeZone: "Europe/Zurich",
  maxKeys: 100,
  ...more,
});

/** Calendar quotas, on clocks that are stepped. */
export function quotaContract(
  name: string,
  openLimiter: OpenLimiter,
  traits: ContractTraits,
): void {
  /** A limiter on a clock that shows `wallMs`, which monotonic times do not. */
  function open(definition: QuotaDefinition, wallMs: number) {
    const clock = manualClock(1_000);
    clock.stepWall(wallMs - 1_000);
    const limiter = openLimiter([definition], { clock });
    const caller = callerOf(limiter, [0]);
    const take = (cost = 1) => caller.acquire(clock.monotonicMs(), cost);
    return { clock, limiter, caller, take };
  }

  // Elsewhere steps are those of the store's clock, and periods are keys of their own.
  const skip = traits.hasOwnTime ? "the wall clock is the store's" : false;

  describe(`${name} as Limiter: quota`, () => {
    test(
      "a step of the wall clock back over midnight grants no second budget of either day",
      { skip },
      () => {
        const { clock, take, caller } = open(quota(), MIDNIGHT - 3_600_000);
        assert.equal(take(5), OUTCOME.admitted);
        clock.stepWall(2 * 3_600_000);
        clock.advance(1_000);
        assert.equal(take(5), OUTCOME.admitted, "the next day begins early, once");
        clock.stepWall(-2 * 3_600_000);
        clock.advance(1_000);
        assert.equal(take(1), OUTCOME.refused);
        // Until the end of the day that was entered, not of the one the clock shows.
        assert.ok(caller.report.retryAfterMs > DAY_MS);
        clock.advance(3_700_000);
        assert.equal(take(1), OUTCOME.refused, "the day comes for the second time, already spent");
        clock.advance(DAY_MS);
        assert.equal(take(5), OUTCOME.admitted);
      },
    );

    test(
      "records taken back while the clock stood in the future do not free the past",
      { skip },
      () => {
        const { clock, limiter, take } = open(quota(), MIDNIGHT - 3_600_000);
        assert.equal(take(5), OUTCOME.admitted);
        clock.stepWall(7_200_000);
        clock.advance(1_000);
        // Idle in the period entered by this look, so it goes.
        assert.equal(limiter.sweep(clock.monotonicMs(), 100), 1);
        clock.stepWall(-7_200_000);
        clock.advance(1_000);
        assert.equal(take(5), OUTCOME.admitted, "this is the later day's budget");
        clock.advance(7_200_000);
        assert.equal(take(1), OUTCOME.refused);
      },
    );

    test("acquire() decides as counting by calendar day does, under any steps of the wall clock", () => {
      const steps = fc.array(
        fc.record({
          advanceMs: fc.oneof(fc.nat(5_000), fc.nat(DAY_MS), fc.constantFrom(3_600_000, DAY_MS)),
          stepMs: fc.oneof(
            { weight: 3, arbitrary: fc.constant(0) },
            { weight: 1, arbitrary: fc.integer({ min: -3 * DAY_MS, max: 3 * DAY_MS }) },
          ),
          cost: fc.integer({ min: 1, max: 4 }),
          sweeps: fc.boolean(),
        }),
        { maxLength: 60 },
      );
      const cases = fc.tuple(steps, fc.constantFrom("hour", "day", "week", "month"));
      fc.assert(
        fc.property(cases, ([calls, period]) => {
          const definition = quota({ period, timeZone: "America/New_York" });
          const { clock, limiter, take } = open(definition, MIDNIGHT);
          const spent = new Map<number, number>();
          let latest = 0;
          for (const { advanceMs, stepMs, cost, sweeps } of calls) {
            if (!traits.hasOwnTime) clock.stepWall(stepMs);
            // A step is noticed within a second.
            clock.advance(advanceMs + 1_000);
            if (sweeps) limiter.sweep(clock.monotonicMs(), 100);
            latest = Math.max(latest, periodAt(clock.wallMs(), period, "America/New_York").startMs);
            const used = spent.get(latest) ?? 0;
            const expected = used + cost <= definition.limit;
            assert.equal(take(cost) === OUTCOME.admitted, expected);
            if (expected) spent.set(latest, used + cost);
          }
        }),
        runsOf(traits, 100),
      );
    });

    test("acquire() is admitted again exactly when the period ends, and says so", () => {
      const { clock, take, caller } = open(quota(), MIDNIGHT - 90_000);
      take(5);
      assert.equal(take(1), OUTCOME.refused);
      assert.equal(caller.report.retryAfterMs, 90_000);
      assert.equal(caller.report.resetMs[0], 90_000);
      clock.advance(89_999);
      assert.equal(take(1), OUTCOME.refused);
      clock.advance(1);
      assert.equal(take(5), OUTCOME.admitted);
      assert.equal(caller.acquire(clock.monotonicMs(), 6), OUTCOME.impossible);
    });

    test("refund() frees units in the period they were booked in, and only there", () => {
      const { clock, limiter, caller, take } = open(quota(), MIDNIGHT - 90_000);
      const { reservation } = caller.reserve(clock.monotonicMs(), 5);
      limiter.refund(reservation, clock.monotonicMs());
      const late = caller.reserve(clock.monotonicMs(), 5).reservation;
      clock.advance(90_000);
      assert.equal(take(5), OUTCOME.admitted);
      limiter.refund(late, clock.monotonicMs());
      assert.equal(take(1), OUTCOME.refused);
    });
  });
}
