import assert from "node:assert/strict";
import {
  bucketResetTicks,
  bucketShortage,
  chargeBucket,
  fitsBucket,
  initBucket,
  isBucketIdle,
  openInBucket,
  refundBucket,
  remainingInBucket,
  settleBucket,
} from "./bucket.ts";
import { KIND, type LimitPlan } from "./limit-plan.ts";
import {
  chargeWindowExact,
  fitsWindowExact,
  initWindowExact,
  isWindowExactIdle,
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

/** Ticks to wait before `cost` (at most the capacity) fits; 0 or less when it fits now. */
export function shortageOf(plan: LimitPlan, record: number, cost: number): number {
  switch (plan.kind) {
    case KIND.bucket:
      return bucketShortage(plan, record, cost);
    case KIND.windowExact:
      return windowExactShortage(plan, record, cost);
    case KIND.windowSub:
      return windowSubShortage(plan, record, cost);
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
    default:
      return unknownKind(plan.kind);
  }
}

/** Spends `cost`, which must fit. Windows note in `plan.ticks[BOOKED_AT]` when it was booked. */
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
  }
}

/** As `charge`, for units that may be refunded; all kinds note when they were booked. */
export function chargeRefundable(plan: LimitPlan, record: number, cost: number): void {
  charge(plan, record, cost);
  if (plan.kind === KIND.bucket) openInBucket(plan, record, cost);
}

export function settle(plan: LimitPlan, record: number, cost: number, bookedAt: number): void {
  // A window's units are spent where they were booked; nothing is held open for them.
  if (plan.kind === KIND.bucket) settleBucket(plan, record, cost, bookedAt);
}

export function refund(plan: LimitPlan, record: number, cost: number, bookedAt: number): void {
  switch (plan.kind) {
    case KIND.bucket:
      refundBucket(plan, record, cost, bookedAt);
      break;
    case KIND.windowExact:
      refundWindowExact(plan, record, cost, bookedAt);
      break;
    case KIND.windowSub:
      refundWindowSub(plan, record, cost, bookedAt);
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
  }
}

/** After a thread ended inside the lock: makes derived words agree with the ones they are derived from. */
export function repairRecord(plan: LimitPlan, record: number): void {
  if (plan.kind === KIND.windowSub) repairWindowSub(plan, record);
}

/** Unreachable as long as every switch above names every kind, which the type checks. */
function unknownKind(kind: never): never {
  assert.fail(`unknown kind of limit ${String(kind)}`);
}
