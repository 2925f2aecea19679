import { inFlight } from "./concurrency.ts";
import { KIND, NOW, type LimitPlan } from "./limit-plan.ts";
import { periodOf } from "./quota.ts";

/**
 * What callers would use if nobody held them back: for each caller and window the highest demand, put into one
 * histogram per limit. Only limits in shadow mode measure.
 *
 * Demand of a window is summed over the present quarter of it and the four before, so it is never below what any
 * window ending now held, and at most a quarter of a window too wide. A quota's is what was spent in the period, a
 * concurrency limit's what was in flight.
 *
 * Meter of a record, 32-bit elements: 0 the latest quarter; 1 to 5 demand by quarter; 6 the highest demand in the
 * window begun at 7. Counts are for people, not for decisions: two threads may lose one.
 */
const QUARTER = 0;
const COUNTS = 1;
const RING = 5;
const PEAK = 6;
const WINDOW = 7;

/** Up to 7 exactly, then four to an octave: at most a quarter too high, never too low. */
export const HISTOGRAM_BUCKETS = 120;

/** Notes that `cost` was asked for and, as far as other limits go, granted. */
export function noteDemand(plan: LimitPlan, record: number, cost: number): void {
  const at = 2 * (record + plan.meterAt);
  const { i32 } = plan;
  if (plan.kind === KIND.quota) {
    const period = periodOf(plan);
    if (i32[at + WINDOW] !== period) i32[at + COUNTS] = 0;
    i32[at + COUNTS] = Math.min(2 ** 31 - 1, i32[at + COUNTS]! + cost);
    raisePeak(plan, at, { window: period, demand: i32[at + COUNTS]! });
    return;
  }
  const quarter = Math.floor(plan.ticks[NOW]! / plan.quarterTicks) | 0;
  const demand =
    plan.kind === KIND.concurrency
      ? inFlight(plan, record)
      : slidingDemand(i32, { at, quarter, cost });
  raisePeak(plan, at, { window: quarter >> 2, demand });
}

/** Puts what a record measured into the histogram, before the record is given to somebody else. */
export function flushMeter(plan: LimitPlan, record: number): void {
  const at = 2 * (record + plan.meterAt);
  countPeak(plan, plan.i32[at + PEAK]!);
  clearMeter(plan, record);
}

export function clearMeter(plan: LimitPlan, record: number): void {
  plan.i32.fill(0, 2 * (record + plan.meterAt), 2 * (record + plan.meterAt) + WINDOW + 1);
}

/** The highest demand of the record's present window. */
export function peakOf(plan: LimitPlan, record: number): number {
  return plan.i32[2 * (record + plan.meterAt) + PEAK]!;
}

export function bucketOf(demand: number): number {
  if (demand < 8) return demand;
  const exponent = 31 - Math.clz32(demand);
  return 8 + (exponent - 3) * 4 + ((demand >> (exponent - 2)) & 3);
}

/** The largest demand that falls into a bucket. */
export function topOf(bucket: number): number {
  if (bucket < 8) return bucket;
  const exponent = 3 + ((bucket - 8) >> 2);
  return (5 + ((bucket - 8) & 3)) * 2 ** (exponent - 2) - 1;
}

function slidingDemand(
  i32: Int32Array,
  { at, quarter, cost }: { at: number; quarter: number; cost: number },
): number {
  const behind = quarter - i32[at + QUARTER]!;
  if (behind > 0) {
    for (let step = 0; step < Math.min(behind, RING); step++) {
      i32[at + COUNTS + ringAt(quarter - step)] = 0;
    }
    i32[at + QUARTER] = quarter;
  }
  const place = at + COUNTS + ringAt(i32[at + QUARTER]!);
  i32[place] = Math.min(2 ** 28, i32[place]! + cost);
  let demand = 0;
  for (let index = 0; index < RING; index++) demand += i32[at + COUNTS + index]!;
  return demand;
}

function ringAt(quarter: number): number {
  return ((quarter % RING) + RING) % RING;
}

function raisePeak(
  plan: LimitPlan,
  at: number,
  { window, demand }: { window: number; demand: number },
): void {
  const { i32 } = plan;
  if (i32[at + WINDOW] !== window) {
    countPeak(plan, i32[at + PEAK]!);
    i32[at + WINDOW] = window;
    i32[at + PEAK] = demand;
  } else if (demand > i32[at + PEAK]!) {
    i32[at + PEAK] = demand;
  }
}

function countPeak(plan: LimitPlan, demand: number): void {
  if (demand > 0) Atomics.add(plan.i32, plan.histogram + bucketOf(demand), 1);
}
