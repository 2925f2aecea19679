import assert from "node:assert/strict";
import {
  bucketResetTicks,
  bucketShortage,
  chargeBucket,
  emptyBucket,
  fitsBucket,
  initBucket,
  isBucketIdle,
  openInBucket,
  overchargeBucket,
  remainingInBucket,
  settleBucket,
} from "./bucket.ts";
import {
  finishConcurrency,
  fitsConcurrency,
  holdConcurrency,
  inFlight,
  initConcurrency,
  remainingInConcurrency,
} from "./concurrency.ts";
import { clearMeter } from "./demand-meter.ts";
import { KIND, type LimitPlan } from "./limit-plan.ts";
import {
  chargeQuota,
  fitsQuota,
  initQuota,
  isQuotaIdle,
  quotaResetTicks,
  quotaShortage,
  refundQuota,
  remainingInQuota,
} from "./quota.ts";
import { TICKS_PER_MS } from "./ticks.ts";
import {
  chargeWindowExact,
  fitsWindowExact,
  initWindowExact,
  isWindowExactIdle,
  overchargeWindowExact,
  refundWindowExact,
  remainingInWindowExact,
  windowExactResetTicks,
  windowExactShortage,
} from "./window-exact.ts";
import {
  chargeWindowSub,
  fitsWindowSub,
  initWindowSub,
  isWindowSubIdle,
  overchargeWindowSub,
  refundWindowSub,
  remainingInWindowSub,
  repairWindowSub,
  windowSubResetTicks,
  windowSubShortage,
} from "./window-sub.ts";

/*
 * One switch per question, so that a new kind is found by the compiler in every place it must be answered.
 * All are called with the record locked, and take the time from `plan.ticks[NOW]`: passed as an argument it would be boxed.
 */

/** Nobody knows when a holder finishes; come back in a second. */
const CONCURRENCY_RETRY_TICKS = 1_000 * TICKS_PER_MS;

/** Ticks to wait before `cost` (at most the capacity) fits; 0 or less when it fits now. */
export function shortageOf(plan: LimitPlan, record: number, cost: number): number {
  switch (plan.kind) {
    case KIND.bucket:
      return bucketShortage(plan, record, cost);
    case KIND.windowExact:
      return windowExactShortage(plan, record, cost);
    case KIND.windowSub:
      return windowSubShortage(plan, record, cost);
    case KIND.quota:
      return quotaShortage(plan, record, cost);
    case KIND.concurrency:
      return fitsConcurrency(plan, record, cost) ? 0 : CONCURRENCY_RETRY_TICKS;
    default:
      return unknownKind(plan.kind);
  }
}

/** Whether `cost` fits now. */
export function fits(plan: LimitPlan, record: number, cost: number): boolean {
  switch (plan.kind) {
    case KIND.bucket:
      return fitsBucket(plan, record, cost);
    case KIND.windowExact:
      return fitsWindowExact(plan, record, cost);
    case KIND.windowSub:
      return fitsWindowSub(plan, record, cost);
    case KIND.quota:
      return fitsQuota(plan, record, cost);
    case KIND.concurrency:
      return fitsConcurrency(plan, record, cost);
    default:
      return unknownKind(plan.kind);
  }
}

/**
 * Spends `cost`, which must fit (a concurrency limit in shadow mode holds more). All but the bucket note in
 * `plan.ticks[BOOKED_AT]` when it was booked.
 */
export function charge(plan: LimitPlan, record: number, cost: number): void {
  switch (plan.kind) {
    case KIND.bucket:
      chargeBucket(plan, record, cost);
      break;
    case KIND.windowExact:
      chargeWindowExact(plan, record, cost);
      break;
    case KIND.windowSub:
      chargeWindowSub(plan, record, cost);
      break;
    case KIND.quota:
      chargeQuota(plan, record, cost);
      break;
    case KIND.concurrency:
      holdConcurrency(plan, record, cost);
      break;
  }
}

/** As `charge`, for units that may be refunded; all kinds note when they were booked. */
export function chargeRefundable(plan: LimitPlan, record: number, cost: number): void {
  charge(plan, record, cost);
  if (plan.kind === KIND.bucket) openInBucket(plan, record, cost);
}

/**
 * Spends `cost` whether it fits or not, for what was used already. Windows then remember the latest units up to their
 * capacity, which decides later calls exactly as remembering all would; a bucket is in debt; a quota is overdrawn.
 */
export function overcharge(plan: LimitPlan, record: number, cost: number): void {
  switch (plan.kind) {
    case KIND.bucket:
      overchargeBucket(plan, record, cost);
      break;
    case KIND.windowExact:
      overchargeWindowExact(plan, record, cost);
      break;
    case KIND.windowSub:
      overchargeWindowSub(plan, record, cost);
      break;
    case KIND.quota:
      chargeQuota(plan, record, cost);
      break;
    case KIND.concurrency:
      // Nothing is in flight any more that could be counted afterwards.
      break;
  }
}

/** Charges an attempt that was refused, where the limit counts those. */
export function chargeDenied(plan: LimitPlan, record: number, cost: number): void {
  if (plan.kind === KIND.bucket) emptyBucket(plan, record);
  else overcharge(plan, record, cost);
}

/** What a settlement is about: booked units, how many of them were used, and when they were booked. */
export interface Booked {
  cost: number;
  /** At most `cost`. */
  actual: number;
  bookedAt: number;
}

/** Spends `actual` of the booked units for good and frees the others where they were booked. */
export function settle(plan: LimitPlan, record: number, booked: Booked): void {
  const { cost, actual, bookedAt } = booked;
  switch (plan.kind) {
    case KIND.bucket:
      settleBucket(plan, record, booked);
      break;
    case KIND.windowExact:
      if (actual < cost) refundWindowExact(plan, record, cost - actual, bookedAt);
      break;
    case KIND.windowSub:
      if (actual < cost) refundWindowSub(plan, record, cost - actual, bookedAt);
      break;
    case KIND.quota:
      if (actual < cost) refundQuota(plan, record, cost - actual, bookedAt);
      break;
    case KIND.concurrency:
      finishConcurrency(plan, record, cost, bookedAt);
      break;
  }
}

/** Whole units left. */
export function remainingOf(plan: LimitPlan, record: number): number {
  switch (plan.kind) {
    case KIND.bucket:
      return remainingInBucket(plan, record);
    case KIND.windowExact:
      return remainingInWindowExact(plan, record);
    case KIND.windowSub:
      return remainingInWindowSub(plan, record);
    case KIND.quota:
      return remainingInQuota(plan, record);
    case KIND.concurrency:
      return remainingInConcurrency(plan, record);
    default:
      return unknownKind(plan.kind);
  }
}

/** Ticks until the whole capacity is back if nothing more is spent. */
export function resetTicksOf(plan: LimitPlan, record: number): number {
  switch (plan.kind) {
    case KIND.bucket:
      return bucketResetTicks(plan, record);
    case KIND.windowExact:
      return windowExactResetTicks(plan, record);
    case KIND.windowSub:
      return windowSubResetTicks(plan, record);
    case KIND.quota:
      return quotaResetTicks(plan, record);
    case KIND.concurrency:
      return 0;
    default:
      return unknownKind(plan.kind);
  }
}

/** Whether the record limits nobody, so that dropping it changes no decision. */
export function isIdle(plan: LimitPlan, record: number): boolean {
  switch (plan.kind) {
    case KIND.bucket:
      return isBucketIdle(plan, record);
    case KIND.windowExact:
      return isWindowExactIdle(plan, record);
    case KIND.windowSub:
      return isWindowSubIdle(plan, record);
    case KIND.quota:
      return isQuotaIdle(plan, record);
    case KIND.concurrency:
      return inFlight(plan, record) === 0;
    default:
      return unknownKind(plan.kind);
  }
}

/** Makes the record's own words say "nothing spent". */
export function initRecord(plan: LimitPlan, record: number): void {
  switch (plan.kind) {
    case KIND.bucket:
      initBucket(plan, record);
      break;
    case KIND.windowExact:
      initWindowExact(plan, record);
      break;
    case KIND.windowSub:
      initWindowSub(plan, record);
      break;
    case KIND.quota:
      initQuota(plan, record);
      break;
    case KIND.concurrency:
      initConcurrency(plan, record);
      break;
  }
  if (plan.meterAt !== 0) clearMeter(plan, record);
}

/** After a thread ended inside the lock: makes derived words agree with the ones they are derived from. */
export function repairRecord(plan: LimitPlan, record: number): void {
  if (plan.kind === KIND.windowSub) repairWindowSub(plan, record);
}

/** Unreachable as long as every switch above names every kind, which the type checks. */
function unknownKind(kind: never): never {
  assert.fail(`unknown kind of limit ${String(kind)}`);
}
