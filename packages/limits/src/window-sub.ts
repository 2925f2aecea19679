import { BOOKED_AT, NOW, SUB_WINDOWS, type LimitPlan } from "./limit-plan.ts";

/**
 * Strict window for large limits: the window is cut into 32 sub-windows, and what is admitted in one counts until that
 * sub-window's end plus a whole window. So any window that ends now lies inside what is counted: it never over-admits, and
 * a unit is held at most window / 32 too long. (The interpolating counter, by contrast, admits up to twice the limit.)
 *
 * Record after the header: word 2 number of the latest sub-window; then 32-bit elements: sum of all counters, position of
 * the latest sub-window's counter; then the ring of 33 counters. The sum is kept so that a decision looks at one number;
 * `repairWindowSub` makes it again after a thread ended while writing.
 */

const LATEST = 2;
// 32-bit elements.
const SUM = 6;
const POSITION = 7;
const COUNTERS = 4;
const RING = SUB_WINDOWS + 1;

/** Whether `cost` fits now. */
export function fitsWindowSub(plan: LimitPlan, record: number, cost: number): boolean {
  // Most calls come within the sub-window of the one before: no call and no division for them.
  if (plan.ticks[NOW]! >= (plan.f64[record + LATEST]! + 1) * plan.unitTicks) advance(plan, record);
  return plan.i32[2 * record + SUM]! + cost <= plan.capacity;
}

/** Ticks to wait before `cost` fits; 0 or less when it fits now. */
export function windowSubShortage(plan: LimitPlan, record: number, cost: number): number {
  advance(plan, record);
  let excess = plan.i32[2 * record + SUM]! + cost - plan.capacity;
  if (excess <= 0) return 0;
  const latest = plan.f64[record + LATEST]!;
  for (let age = SUB_WINDOWS; age >= 0; age--) {
    excess -= plan.counters[counterAt(plan, record, age)]!;
    if (excess <= 0) {
      return (latest - age + 1 + SUB_WINDOWS) * plan.unitTicks - plan.ticks[NOW]!;
    }
  }
  return Number.POSITIVE_INFINITY;
}

/** Spends `cost`, which was just found to fit. Booked in a sub-window, by its number. */
export function chargeWindowSub(plan: LimitPlan, record: number, cost: number): void {
  const at = counterAt(plan, record, 0);
  plan.i32[2 * record + SUM] = plan.i32[2 * record + SUM]! + cost;
  plan.counters[at] = plan.counters[at]! + cost;
  plan.ticks[BOOKED_AT] = plan.f64[record + LATEST]!;
}

/** Spends `cost` whether it fits or not: the latest units are remembered, up to the capacity. */
export function overchargeWindowSub(plan: LimitPlan, record: number, cost: number): void {
  advance(plan, record);
  const newest = counterAt(plan, record, 0);
  // The newest first: a thread ended in between leaves more units than there were, never fewer.
  plan.counters[newest] = Math.min(plan.capacity, plan.counters[newest]! + cost);
  repairWindowSub(plan, record);
  let excess = plan.i32[2 * record + SUM]! - plan.capacity;
  for (let age = SUB_WINDOWS; age > 0 && excess > 0; age--) {
    const at = counterAt(plan, record, age);
    const dropped = Math.min(excess, plan.counters[at]!);
    plan.counters[at] = plan.counters[at]! - dropped;
    excess -= dropped;
  }
  repairWindowSub(plan, record);
  plan.ticks[BOOKED_AT] = plan.f64[record + LATEST]!;
}

/** Frees `cost` in the sub-window it was booked in, if that still counts. */
export function refundWindowSub(
  plan: LimitPlan,
  record: number,
  cost: number,
  booked: number,
): void {
  advance(plan, record);
  const age = plan.f64[record + LATEST]! - booked;
  if (age > SUB_WINDOWS) return;
  const at = counterAt(plan, record, age);
  const freed = Math.min(cost, plan.counters[at]!);
  plan.counters[at] = plan.counters[at]! - freed;
  plan.i32[2 * record + SUM] = plan.i32[2 * record + SUM]! - freed;
}

export function remainingInWindowSub(plan: LimitPlan, record: number): number {
  advance(plan, record);
  return plan.capacity - plan.i32[2 * record + SUM]!;
}

/** Ticks until the window is empty if nothing more is spent. */
export function windowSubResetTicks(plan: LimitPlan, record: number): number {
  return Math.max(0, windowSubShortage(plan, record, plan.capacity));
}

export function isWindowSubIdle(plan: LimitPlan, record: number): boolean {
  advance(plan, record);
  return plan.i32[2 * record + SUM] === 0;
}

export function initWindowSub(plan: LimitPlan, record: number): void {
  const now = plan.ticks[NOW]!;
  plan.f64[record + LATEST] = Math.floor(now / plan.unitTicks);
  clear(plan, record);
}

/** After a restart: sub-windows move by `shiftTicks`, rounded up to whole ones. */
export function resumeWindowSub(plan: LimitPlan, record: number, shiftTicks: number): void {
  const shift = Math.ceil(shiftTicks / plan.unitTicks);
  plan.f64[record + LATEST] = plan.f64[record + LATEST]! + shift;
}

/** Makes the sum again from the counters. */
export function repairWindowSub(plan: LimitPlan, record: number): void {
  const counters = (record + COUNTERS) * plan.countersPerWord;
  let sum = 0;
  for (let index = 0; index < RING; index++) sum += plan.counters[counters + index]!;
  plan.i32[2 * record + SUM] = sum;
}

/** Element of the counter that is `age` sub-windows older than the latest, of at most 32. */
function counterAt(plan: LimitPlan, record: number, age: number): number {
  const position = plan.i32[2 * record + POSITION]! - age;
  return (record + COUNTERS) * plan.countersPerWord + (position < 0 ? position + RING : position);
}

/** Drops the counters that left the window and makes the latest sub-window the current one; never goes back. */
function advance(plan: LimitPlan, record: number): void {
  const now = plan.ticks[NOW]!;
  const latest = plan.f64[record + LATEST]!;
  if (now < (latest + 1) * plan.unitTicks) return;
  const current = Math.floor(now / plan.unitTicks);
  if (current - latest > SUB_WINDOWS) {
    clear(plan, record);
  } else if (plan.i32[2 * record + SUM] !== 0) {
    for (let step = current - latest; step > 0; step--) {
      // In this order a thread that ends in between leaves units that count for longer, never for less: first all become
      // a sub-window younger than they are, then the position follows, then the oldest counter is emptied.
      plan.f64[record + LATEST] = plan.f64[record + LATEST]! + 1;
      const position = plan.i32[2 * record + POSITION]! + 1;
      plan.i32[2 * record + POSITION] = position === RING ? 0 : position;
      const at = counterAt(plan, record, 0);
      plan.i32[2 * record + SUM] = plan.i32[2 * record + SUM]! - plan.counters[at]!;
      plan.counters[at] = 0;
    }
  }
  plan.f64[record + LATEST] = current;
}

function clear(plan: LimitPlan, record: number): void {
  const counters = (record + COUNTERS) * plan.countersPerWord;
  plan.counters.fill(0, counters, counters + RING);
  plan.i32[2 * record + SUM] = 0;
  plan.i32[2 * record + POSITION] = 0;
}
