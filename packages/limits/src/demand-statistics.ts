import { HISTOGRAM_BUCKETS, bucketOf, peakOf, topOf } from "./demand-meter.ts";
import type { LimitDefinition } from "./limit-definition.ts";
import { REFUSALS, SPILL_RECORDS, type LimitPlan } from "./limit-plan.ts";

/** What callers of one limit in shadow mode asked for. Plain data. */
export interface DemandStatistics {
  readonly definition: LimitDefinition;
  /** Calls that would have been refused. */
  readonly refusals: number;
  /**
   * The highest demand of each caller in each window in which it came at all, counted: `count` of them were at most
   * `atMost` and above the entry before. Ascending. Windows still running are in it.
   */
  readonly peaks: readonly { readonly atMost: number; readonly count: number }[];
}

/** Reads the histogram, and the meters of all records; a second or less per million. */
export function demandOf(plan: LimitPlan, definition: LimitDefinition, used: number) {
  const counts = new Float64Array(HISTOGRAM_BUCKETS);
  for (let bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
    counts[bucket] = plan.i32[plan.histogram + bucket]! >>> 0;
  }
  for (let number = SPILL_RECORDS; number < used; number++) {
    const bucket = bucketOf(peakOf(plan, plan.firstRecord + number * plan.recordWords));
    if (bucket > 0) counts[bucket]! += 1;
  }
  const peaks = Array.from(counts, (count, bucket) => ({ atMost: topOf(bucket), count }));
  return {
    definition,
    refusals: plan.i32[2 * plan.header + REFUSALS]! >>> 0,
    peaks: peaks.filter(({ count }) => count > 0),
  } satisfies DemandStatistics;
}
