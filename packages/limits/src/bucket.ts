import { BOOKED_AT, NOW, type LimitPlan } from "./limit-plan.ts";

/**
 * Token bucket as GCRA (ITU-T I.371): one number, the tick at which the bucket will be full again.
 * Spent cost in ticks is that number minus now. Processing order needs not be time order: the guarantee
 * holds for the times passed in.
 *
 * Record after the header: word 2 full-again tick; word 3 units in flight that may still be refunded, two counters of
 * 24 bits (even and odd reservation epochs) and 16 bits of epoch, 8 in each half.
 *
 * Refundable units count as spent in full until settled: `fullAgain >= now + open * unitTicks` always. Otherwise the
 * bucket would refill behind their back, and giving them back would make more than burst + rate * time
 * (escrow; the same cap as for leases). Units whose holder vanished expire, spent, after two epochs.
 */

const FULL_AGAIN = 2;
const OPEN = 3;
const COUNT_MASK = 0xffffff;

/** Whether `cost` fits now. */
export function fitsBucket(plan: LimitPlan, record: number, cost: number): boolean {
  const now = plan.ticks[NOW]!;
  if (hasOpen(plan, record)) return bucketShortage(plan, record, cost) <= 0;
  const spent = plan.f64[record + FULL_AGAIN]! - now;
  return (spent > 0 ? spent : 0) + cost * plan.unitTicks <= plan.spanTicks;
}

/** Ticks to wait before `cost` fits; 0 or less when it fits now. Expires open units on the way. */
export function bucketShortage(plan: LimitPlan, record: number, cost: number): number {
  return spentTicks(plan, record) + cost * plan.unitTicks - plan.spanTicks;
}

/** Spends `cost`, which must fit. */
export function chargeBucket(plan: LimitPlan, record: number, cost: number): void {
  const now = plan.ticks[NOW]!;
  const { f64 } = plan;
  if (hasOpen(plan, record)) {
    f64[record + FULL_AGAIN] = now + spentTicks(plan, record) + cost * plan.unitTicks;
    return;
  }
  const fullAgain = f64[record + FULL_AGAIN]!;
  f64[record + FULL_AGAIN] = (fullAgain > now ? fullAgain : now) + cost * plan.unitTicks;
}

/** Marks `cost`, just charged, as refundable. Booked at its epoch, or at -1 when no more units can be held open; those stay spent. */
export function openInBucket(plan: LimitPlan, record: number, cost: number): void {
  const epoch = latestEpoch(plan, record);
  const at = 2 * (record + OPEN) + (epoch & 1);
  const open = plan.i32[at]! & COUNT_MASK;
  plan.ticks[BOOKED_AT] = -1;
  if (open + cost > COUNT_MASK) return;
  plan.i32[at] = (plan.i32[at]! & ~COUNT_MASK) | (open + cost);
  plan.ticks[BOOKED_AT] = epoch;
}

/** Ends units opened in `epoch`: spent for good. */
export function settleBucket(plan: LimitPlan, record: number, cost: number, epoch: number): void {
  const now = plan.ticks[NOW]!;
  const spent = spentTicks(plan, record);
  if (!isStillOpen(plan, record, epoch)) return;
  plan.f64[record + FULL_AGAIN] = now + spent;
  close(plan, record, cost, epoch);
}

/** Ends units opened in `epoch`: as if never spent. */
export function refundBucket(plan: LimitPlan, record: number, cost: number, epoch: number): void {
  const now = plan.ticks[NOW]!;
  const spent = spentTicks(plan, record);
  if (!isStillOpen(plan, record, epoch)) return;
  // Full-again first, then the counter: a thread ended in between leaves units open, which only denies.
  plan.f64[record + FULL_AGAIN] = now + spent;
  close(plan, record, cost, epoch);
  plan.f64[record + FULL_AGAIN] = now + spent - cost * plan.unitTicks;
}

export function remainingInBucket(plan: LimitPlan, record: number): number {
  const left = plan.spanTicks - spentTicks(plan, record);
  return left <= 0 ? 0 : Math.floor(left / plan.unitTicks);
}

/** Ticks until the bucket is full if nothing more is spent. */
export function bucketResetTicks(plan: LimitPlan, record: number): number {
  return spentTicks(plan, record);
}

/** Whether the record says no more than an absent one. */
export function isBucketIdle(plan: LimitPlan, record: number): boolean {
  return spentTicks(plan, record) === 0;
}

export function initBucket(plan: LimitPlan, record: number): void {
  plan.f64[record + FULL_AGAIN] = 0;
  plan.f64[record + OPEN] = 0;
}

function spentTicks(plan: LimitPlan, record: number): number {
  const now = plan.ticks[NOW]!;
  if (!hasOpen(plan, record)) return Math.max(0, plan.f64[record + FULL_AGAIN]! - now);
  expireOpen(plan, record);
  const i32 = plan.i32;
  const at = 2 * (record + OPEN);
  const open = (i32[at]! & COUNT_MASK) + (i32[at + 1]! & COUNT_MASK);
  return Math.max(0, plan.f64[record + FULL_AGAIN]! - now, open * plan.unitTicks);
}

/** Turns open units older than one epoch into spent ones, as of the moment they expired. */
function expireOpen(plan: LimitPlan, record: number): void {
  const i32 = plan.i32;
  const at = 2 * (record + OPEN);
  const epoch = latestEpoch(plan, record);
  const behind = (epoch - storedEpoch(i32, at)) & 0xffff;
  if (behind === 0) return;
  for (let step = 1; step <= Math.min(behind, 2); step++) {
    const begun = epoch - behind + step;
    const expiring = at + (begun & 1);
    const open = (i32[at]! & COUNT_MASK) + (i32[at + 1]! & COUNT_MASK);
    const fullAgain = begun * plan.epochTicks + open * plan.unitTicks;
    if (fullAgain > plan.f64[record + FULL_AGAIN]!) plan.f64[record + FULL_AGAIN] = fullAgain;
    i32[expiring] = i32[expiring]! & ~COUNT_MASK;
  }
  storeEpoch(i32, at, epoch);
}

/** The epoch of `now`, or the record's own if that is later (a stale clock must not bring expired units back). */
function latestEpoch(plan: LimitPlan, record: number): number {
  const now = plan.ticks[NOW]!;
  const at = 2 * (record + OPEN);
  const epoch = Math.floor(now / plan.epochTicks);
  if (!hasOpen(plan, record)) {
    storeEpoch(plan.i32, at, epoch);
    return epoch;
  }
  const behind = (epoch - storedEpoch(plan.i32, at)) & 0xffff;
  return behind < 0x8000 ? epoch : epoch + 0x10000 - behind;
}

/** Whether any unit may still be refunded, or was when last looked at. Messages that are not refundable find none: the short way. */
function hasOpen(plan: LimitPlan, record: number): boolean {
  const at = 2 * (record + OPEN);
  return ((plan.i32[at]! | plan.i32[at + 1]!) & COUNT_MASK) !== 0;
}

function isStillOpen(plan: LimitPlan, record: number, epoch: number): boolean {
  return epoch >= 0 && latestEpoch(plan, record) - epoch <= 1;
}

function close(plan: LimitPlan, record: number, cost: number, epoch: number): void {
  const at = 2 * (record + OPEN) + (epoch & 1);
  const open = plan.i32[at]! & COUNT_MASK;
  plan.i32[at] = (plan.i32[at]! & ~COUNT_MASK) | Math.max(0, open - cost);
}

function storedEpoch(i32: Int32Array, at: number): number {
  return ((i32[at]! >>> 24) << 8) | (i32[at + 1]! >>> 24);
}

function storeEpoch(i32: Int32Array, at: number, epoch: number): void {
  i32[at] = (((epoch >>> 8) & 0xff) << 24) | (i32[at]! & COUNT_MASK);
  i32[at + 1] = ((epoch & 0xff) << 24) | (i32[at + 1]! & COUNT_MASK);
}
