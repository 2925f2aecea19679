import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import {
  bucket,
  callerOf,
  runsOf,
  type ContractTraits,
  type OpenLimiter,
} from "./contract-traffic.ts";
import type { ConcurrencyDefinition, LimitDefinition } from "./limit-definition.ts";
import { OUTCOME, type Reservation } from "./limiter.ts";

const inFlight = (limit: number): ConcurrencyDefinition => ({
  kind: "concurrency",
  name: "in-flight",
  limit,
  expireSeconds: 10,
  maxKeys: 100,
});

/** What is in flight: slots are held, renewed, given back and lost. */
export function concurrencyContract(
  name: string,
  openLimiter: OpenLimiter,
  traits: ContractTraits,
): void {
  function open(...definitions: LimitDefinition[]) {
    const limiter = openLimiter(definitions);
    const caller = callerOf(
      limiter,
      definitions.map((_, index) => index),
    );
    return { limiter, caller };
  }

  describe(`${name} as Limiter: concurrency`, () => {
    test("reserve() refuses the holder above the limit until one finishes; finishing twice frees one", () => {
      const { limiter, caller } = open(inFlight(2));
      const first = caller.reserve(0, 1).reservation;
      caller.reserve(0, 1);
      assert.equal(caller.reserve(1, 1).outcome, OUTCOME.refused);
      assert.equal(caller.report.remaining[0], 0);
      assert.equal(caller.report.retryAfterMs, 1_000);
      limiter.finish(first, 2);
      limiter.finish(first, 2);
      assert.equal(caller.reserve(2, 1).outcome, OUTCOME.admitted);
      assert.equal(caller.reserve(2, 1).outcome, OUTCOME.refused);
    });

    test("a lost holder comes free after one to two times expireSeconds, and gives nothing back when it finishes after all", () => {
      const { limiter, caller } = open(inFlight(1));
      const lost = caller.reserve(9_999, 1).reservation;
      assert.equal(caller.reserve(19_999, 1).outcome, OUTCOME.refused);
      const next = caller.reserve(20_000, 1);
      assert.equal(next.outcome, OUTCOME.admitted);
      limiter.finish(lost, 20_001);
      assert.equal(caller.reserve(20_002, 1).outcome, OUTCOME.refused);
      limiter.finish(next.reservation, 20_003);
      assert.equal(caller.reserve(20_004, 1).outcome, OUTCOME.admitted);
    });

    test("renew() keeps a holder for as long as it lives, and tells one that was given up", () => {
      const { limiter, caller } = open(inFlight(1));
      const { reservation } = caller.reserve(0, 1);
      for (let nowMs = 9_000; nowMs < 100_000; nowMs += 9_000) {
        assert.equal(limiter.renew(reservation, nowMs), true);
        assert.equal(caller.reserve(nowMs, 1).outcome, OUTCOME.refused);
      }
      assert.equal(limiter.renew(reservation, 130_000), false);
      assert.equal(caller.reserve(130_000, 1).outcome, OUTCOME.admitted);
      limiter.finish(reservation, 130_001);
      assert.equal(caller.reserve(130_002, 1).outcome, OUTCOME.refused);
    });

    test("settle() spends what a bucket gave and keeps the slot; refund() gives back both", () => {
      const { limiter, caller } = open(bucket(1, 1_000, 3), inFlight(2));
      const first = caller.reserve(0, 1, 1).reservation;
      limiter.settle(first, 0);
      assert.equal(first.count, 1);
      const second = caller.reserve(0, 1, 1).reservation;
      assert.equal(caller.reserve(0, 1, 1).outcome, OUTCOME.refused);
      assert.deepEqual(Array.from(caller.report.violated.subarray(0, 1)), [1]);
      limiter.refund(second, 1);
      limiter.finish(first, 1);
      const third = caller.reserve(1, 2, 2);
      assert.equal(third.outcome, OUTCOME.admitted);
      // A holder refused later than its settlement still gives its slots back.
      limiter.settle(third.reservation, 1);
      limiter.refund(third.reservation, 1);
      assert.equal(caller.reserve(1, 0, 2).outcome, OUTCOME.admitted);
      assert.equal(caller.reserve(1, 1, 0).outcome, OUTCOME.refused);
    });

    test("never more than the limit is held by holders that still live, under any traffic", () => {
      const steps = fc.array(
        fc.record({
          waitMs: fc.oneof(fc.nat(3_000), fc.constantFrom(0, 9_999, 10_000, 20_000)),
          do: fc.constantFrom("begin", "begin", "begin", "finish", "renew", "sweep"),
          cost: fc.integer({ min: 1, max: 3 }),
          which: fc.nat(30),
        }),
        { maxLength: 80 },
      );
      fc.assert(
        fc.property(steps, (calls) => {
          const { limiter, caller } = open(inFlight(4));
          const holders: { reservation: Reservation; cost: number; heardMs: number }[] = [];
          let nowMs = 0;
          for (const { waitMs, do: how, cost, which } of calls) {
            nowMs += waitMs;
            const holder = holders[which % Math.max(1, holders.length)];
            if (how === "begin") {
              const held = heldAt(holders, nowMs, 10_000);
              const { outcome, reservation } = caller.reserve(nowMs, cost);
              if (outcome === OUTCOME.admitted) {
                assert.ok(held + cost <= 4);
                holders.push({ reservation, cost, heardMs: nowMs });
              } else {
                // Refused only for what was heard of within twice the time.
                assert.ok(heldAt(holders, nowMs, 20_000) + cost > 4);
              }
            } else if (how === "sweep") {
              limiter.sweep(nowMs, 100);
            } else if (holder !== undefined && how === "renew") {
              if (limiter.renew(holder.reservation, nowMs)) holder.heardMs = nowMs;
              else holders.splice(holders.indexOf(holder), 1);
            } else if (holder !== undefined) {
              limiter.finish(holder.reservation, nowMs);
              holders.splice(holders.indexOf(holder), 1);
            }
          }
        }),
        runsOf(traits, 200),
      );
    });
  });
}

/** Units of holders heard of less than `withinMs` ago. */
function heldAt(
  holders: readonly { cost: number; heardMs: number }[],
  nowMs: number,
  withinMs: number,
): number {
  return holders
    .filter(({ heardMs }) => nowMs - heardMs < withinMs)
    .reduce((sum, { cost }) => sum + cost, 0);
}
