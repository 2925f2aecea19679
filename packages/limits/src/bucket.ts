import { BOOKED_AT, NOW, type LimitPlan } from "./limit-plan.ts";
import {
  addOpen,
  closeOpen,
  epochsBehind,
  forgetOpen,
  hasOpen,
  isStillOpen,
  latestEpoch,
  openUnits,
  storeEpoch,
} from "./open-units.ts";
import { LONGEST_SPAN_SECONDS, TICKS_PER_MS } from "./ticks.ts";

/**
 * Token bucket as GCRA (ITU-T I.371): one number, the tick at which the bucket will be full again.
 * Spent cost in ticks is that number minus now. Processing order needs not be time order: the guarantee
 * holds for the times passed in.
 *
 * Record after the header: word 2 full-again tick; word 3 units in flight that may still be refunded (`open-units.ts`).
 *
 * Refundable units count as spent in full until settled: `fullAgain >= now + open * unitTicks` always. Otherwise the
 * bucket would refill behind their back, and giving them back would make more than burst + rate * time
 * (escrow; the same cap as for leases). Units whose holder vanished expire, spent, after two epochs.
 */

const FULL_AGAIN = 2;
const OPEN = 3;

/** A debt is remembered up to this: whole numbers of ticks stay exact, and no caller is shut out for longer than a year. */
const LARGEST_DEBT_TICKS = LONGEST_SPAN_SECONDS * 1000 * TICKS_PER_MS;

/** Whether `cost` fits now. */
export function fitsBucket(plan: LimitPlan, record: number, cost: number): boolean {
  if (hasOpen(plan, openAt(record))) return bucketShortage(plan, record, cost) <= 0;
  const spent = plan.f64[record + FULL_AGAIN]! - plan.ticks[NOW]!;
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
  if (hasOpen(plan, openAt(record))) {
    f64[record + FULL_AGAIN] = now + spentTicks(plan, record) + cost * plan.unitTicks;
    return;
  }
  const fullAgain = f64[record + FULL_AGAIN]!;
  f64[record + FULL_AGAIN] = (fullAgain > now ? fullAgain : now) + cost * plan.unitTicks;
}

/** Spends `cost` whether it fits or not; what is too much is a debt that refills first. */
export function overchargeBucket(plan: LimitPlan, record: number, cost: number): void {
  const spent = spentTicks(plan, record) + cost * plan.unitTicks;
  plan.f64[record + FULL_AGAIN] = plan.ticks[NOW]! + Math.min(spent, LARGEST_DEBT_TICKS);
}

/** Takes all that is left, and makes no debt. */
export function emptyBucket(plan: LimitPlan, record: number): void {
  const spent = Math.max(spentTicks(plan, record), plan.spanTicks);
  plan.f64[record + FULL_AGAIN] = plan.ticks[NOW]! + spent;
}

/** Marks `cost`, just charged, as refundable. Booked at its epoch, or at -1 when no more units can be held open; those stay spent. */
export function openInBucket(plan: LimitPlan, record: number, cost: number): void {
  const epoch = latestEpoch(plan, openAt(record));
  plan.ticks[BOOKED_AT] = addOpen(plan, openAt(record), cost, epoch) ? epoch : -1;
}

/** Ends `cost` units opened in `epoch`: `actual` of them (at most `cost`) spent for good, the others as if never spent. */
export function settleBucket(
  plan: LimitPlan,
  record: number,
  units: { readonly cost: number; readonly actual: number; readonly bookedAt: number },
): void {
  const { cost, actual, bookedAt } = units;
  const fullAgain = plan.ticks[NOW]! + spentTicks(plan, record);
  if (!isStillOpen(plan, openAt(record), bookedAt)) return;
  // Full-again first, then the counter: a thread ended in between leaves units open, which only denies.
  plan.f64[record + FULL_AGAIN] = fullAgain;
  closeOpen(plan, openAt(record), cost, bookedAt);
  plan.f64[record + FULL_AGAIN] = fullAgain - (cost - actual) * plan.unitTicks;
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

/** After a restart: the holders are gone, so what they held is spent; and times move by `shiftTicks`. */
export function resumeBucket(plan: LimitPlan, record: number, shiftTicks: number): void {
  const fullAgain = plan.ticks[NOW]! + spentTicks(plan, record);
  plan.f64[record + FULL_AGAIN] = fullAgain + shiftTicks;
  plan.f64[record + OPEN] = 0;
}

function openAt(record: number): number {
  return 2 * (record + OPEN);
}

function spentTicks(plan: LimitPlan, record: number): number {
  const now = plan.ticks[NOW]!;
  const at = openAt(record);
  if (!hasOpen(plan, at)) return Math.max(0, plan.f64[record + FULL_AGAIN]! - now);
  expireOpen(plan, record);
  return Math.max(0, plan.f64[record + FULL_AGAIN]! - now, openUnits(plan, at) * plan.unitTicks);
}

/** Turns open units older than one epoch into spent ones, as of the moment they expired. */
function expireOpen(plan: LimitPlan, record: number): void {
  const at = openAt(record);
  const epoch = latestEpoch(plan, at);
  const behind = epochsBehind(plan, at, epoch);
  if (behind === 0) return;
  for (let step = 1; step <= Math.min(behind, 2); step++) {
    const begun = epoch - behind + step;
    const fullAgain = begun * plan.epochTicks + openUnits(plan, at) * plan.unitTicks;
    if (fullAgain > plan.f64[record + FULL_AGAIN]!) plan.f64[record + FULL_AGAIN] = fullAgain;
    forgetOpen(plan, at, begun);
  }
  storeEpoch(plan.i32, at, epoch);
}
