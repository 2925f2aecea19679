import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { bucketOf, HISTOGRAM_BUCKETS, topOf } from "./demand-meter.ts";
import { suggestLimit } from "./suggest-limit.ts";

test("bucketOf() and topOf() never put a demand lower than it is, and at most a quarter higher", () => {
  fc.assert(
    fc.property(fc.oneof(fc.nat(2 ** 31 - 1), fc.nat(200)), (demand) => {
      const bucket = bucketOf(demand);
      assert.ok(bucket >= 0 && bucket < HISTOGRAM_BUCKETS);
      assert.ok(topOf(bucket) >= demand && topOf(bucket) <= demand * 1.25);
      assert.ok(bucket === 0 || topOf(bucket - 1) < demand);
    }),
  );
});

test("suggestLimit() says nothing from too few windows, and rounds up to numbers people choose", () => {
  const definition = { kind: "window", name: "w", limit: 5, seconds: 60, shadow: true } as const;
  const suggest = (...peaks: [number, number][]) =>
    suggestLimit({
      definition,
      refusals: 0,
      peaks: peaks.map(([atMost, count]) => ({ atMost, count })),
    });
  assert.deepEqual(suggest().proposals, []);
  assert.deepEqual(suggest([3, 99]).proposals, []);
  assert.deepEqual(
    suggest([3, 9_900], [27, 95], [1_023, 5]).proposals.map((each) => ({
      limit: (each.definition as { limit: number }).limit,
      share: each.refusedShare,
    })),
    [
      { limit: 3, share: 0.01 },
      { limit: 30, share: 0.0005 },
      { limit: 2_000, share: 0 },
    ],
  );
});
