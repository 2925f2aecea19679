import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { manualClock, systemRandom } from "@tidegate/clock";
import * as fc from "fast-check";
import { bucket, callerOf, exact, subWindows, traffic } from "./contract-traffic.ts";
import { createLimiter } from "./create-limiter.ts";
import type { LimitDefinition } from "./limit-definition.ts";
import { OUTCOME } from "./limiter.ts";
import { suggestLimit } from "./suggest-limit.ts";

const daily: LimitDefinition = { kind: "quota", name: "q", limit: 6, period: "day" };
const inFlight: LimitDefinition = { kind: "concurrency", name: "c", limit: 2 };

function open(...definitions: LimitDefinition[]) {
  const limiter = createLimiter({
    definitions: definitions.map((definition) => ({ ...definition, maxKeys: 2_000 })),
    random: systemRandom,
    clock: manualClock(0),
  });
  const limits = definitions.map((_, index) => index);
  return {
    limiter,
    caller: callerOf(limiter, limits),
    callerNamed: (key: string) => callerOf(limiter, limits, key),
  };
}

const shadow = (definition: LimitDefinition): LimitDefinition => ({ ...definition, shadow: true });

describe("a limit in shadow mode", () => {
  for (const definition of [bucket(4, 10, 6), exact(6, 10), subWindows(6, 10), daily]) {
    test(`refuses nobody, and counts what it would have refused in earnest (${definition.kind} ${definition.name})`, () => {
      fc.assert(
        fc.property(traffic(10, 6), (calls) => {
          const silent = open(shadow(definition));
          const earnest = open(definition);
          let refused = 0;
          let atMs = 0;
          for (const { waitMs, cost } of calls) {
            atMs += waitMs;
            assert.equal(silent.caller.acquire(atMs, cost), OUTCOME.admitted);
            if (earnest.caller.acquire(atMs, cost) !== OUTCOME.admitted) refused++;
          }
          assert.equal(silent.limiter.statistics().limits[0]!.refusals, refused);
          assert.equal(earnest.limiter.statistics().limits[0]!.refusals, refused);
        }),
        { numRuns: 60 },
      );
    });
  }

  test("lets even an impossible cost pass, beside a limit in earnest that still refuses", () => {
    const { limiter, caller } = open(shadow(exact(3, 60)), exact(5, 60));
    assert.equal(caller.acquire(0, 4, 4), OUTCOME.admitted);
    assert.equal(caller.acquire(0, 1, 2), OUTCOME.refused);
    assert.deepEqual(
      Array.from(caller.report.violated.subarray(0, caller.report.violatedCount)),
      [1],
    );
    assert.deepEqual(
      limiter.statistics().limits.map(({ refusals }) => refusals),
      [1, 1],
    );
    // What the other limit refused is no demand that this one would meet.
    caller.peek(0, 0, 0);
    assert.equal(caller.report.remaining[0], 3);
  });

  test("a reservation that shadow let pass gives back only what was charged", () => {
    const { limiter, caller } = open(shadow(exact(3, 60)), exact(9, 60));
    caller.acquire(0, 2, 0);
    const { outcome, reservation } = caller.reserve(0, 2, 1);
    assert.equal(outcome, OUTCOME.admitted);
    limiter.refund(reservation, 0);
    caller.peek(0, 0, 0);
    assert.deepEqual(Array.from(caller.report.remaining.subarray(0, 2)), [1, 9]);
  });

  test("demand is measured as the highest in any window, at most a quarter of a window too wide", () => {
    fc.assert(
      fc.property(traffic(10, 6), (calls) => {
        const { limiter, caller } = open(shadow(exact(2, 10)));
        const log: { atMs: number; cost: number }[] = [];
        let atMs = 0;
        let [narrow, wide] = [0, 0];
        const used = (spanMs: number): number =>
          log
            .filter((entry) => entry.atMs > atMs - spanMs)
            .reduce((sum, { cost }) => sum + cost, 0);
        for (const { waitMs, cost } of calls) {
          atMs += waitMs;
          caller.acquire(atMs, cost);
          log.push({ atMs, cost });
          narrow = Math.max(narrow, used(10_000));
          wide = Math.max(wide, used(12_501));
        }
        const highest = limiter.statistics().limits[0]!.demand!.peaks.at(-1)?.atMost ?? 0;
        assert.ok(highest >= narrow && highest <= Math.max(wide, wide * 1.25));
      }),
      { numRuns: 150 },
    );
  });

  test("what is in flight is measured above the limit too", () => {
    const { limiter, caller } = open(shadow(inFlight));
    const held = Array.from({ length: 5 }, () => caller.reserve(0, 1));
    assert.ok(held.every(({ outcome }) => outcome === OUTCOME.admitted));
    const [limit] = limiter.statistics().limits;
    assert.equal(limit!.refusals, 3);
    assert.deepEqual(limit!.demand!.peaks, [{ atMost: 5, count: 1 }]);
    for (const { reservation } of held) limiter.finish(reservation, 1);
    caller.peek(1, 1);
    assert.equal(caller.report.remaining[0], 2);
  });

  test("a record that is taken back leaves what it measured", () => {
    const { limiter, callerNamed } = open(shadow(exact(2, 10)));
    for (let key = 0; key < 50; key++) {
      for (let call = 0; call < 4; call++) callerNamed(`key ${key}`).acquire(0, 1);
    }
    assert.equal(limiter.sweep(100_000, 1_000), 50);
    // Others get those records.
    for (let key = 0; key < 50; key++) callerNamed(`other ${key}`).acquire(100_000, 2);
    assert.deepEqual(limiter.statistics().limits[0]!.demand!.peaks, [
      { atMost: 2, count: 50 },
      { atMost: 4, count: 50 },
    ]);
  });

  test("suggestLimit() proposes numbers under which measured callers are not refused", () => {
    for (const definition of [exact(2, 10), bucket(1, 10, 1)]) {
      const { limiter, callerNamed } = open(shadow(definition));
      const calls: { atMs: number; key: string }[] = [];
      // 500 callers: most make 3 calls, one in ten makes 12, one makes 200.
      for (let key = 0; key < 500; key++) {
        const times = key === 0 ? 200 : key % 10 === 1 ? 12 : 3;
        for (let call = 0; call < times; call++) {
          calls.push({ atMs: 1_000 + ((call * 40) % 8_000), key: `key ${key}` });
        }
      }
      calls.sort((a, b) => a.atMs - b.atMs);
      for (const { atMs, key } of calls) callerNamed(key).acquire(atMs, 1);
      const { demand } = limiter.statistics().limits[0]!;
      const suggestion = suggestLimit(demand!);
      assert.equal(suggestion.samples, 500);
      const capacities = suggestion.proposals.map(({ definition: proposed }) =>
        proposed.kind === "bucket" ? proposed.burst : (proposed as { limit: number }).limit,
      );
      assert.deepEqual(capacities, [15, 250, 400]);
      assert.ok(suggestion.proposals[0]!.refusedShare <= 0.01);
      assert.equal(suggestion.proposals[2]!.refusedShare, 0);
      // The generous one, in earnest, on the same calls.
      const proposed = suggestion.proposals[2]!.definition;
      assert.equal(proposed.shadow, undefined);
      const earnest = open(proposed);
      for (const { atMs, key } of calls) {
        assert.equal(earnest.callerNamed(key).acquire(atMs, 1), OUTCOME.admitted);
      }
    }
  });
});
