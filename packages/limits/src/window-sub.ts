import { BOOKED_AT, NOW, SUB_WINDOWS, type LimitPlan } from "./limit-plan.ts";

/**
 * Strict window for large limits: the window is cut into 32 sub-windows, and what is admitted in one counts until that
 * sub-window's end plus a whole window. So any window that ends now lies inside what is counted: it never over-admits, and
 * a unit is held at most window / 32 too long. (The interpolating counter, by contrast, admits up to twice the limit.)
 *
 * Record after the header: word 2 number of the latest sub-window; word 3 sum of all counters; then 33 counters, the one
 * of sub-window e at e mod 33. The sum is kept so that a decision looks at one number;
 * `repairWindowSub` makes it again after a thread ended while writing.
 */

const LATEST = 2;
const SUM = 3;
const COUNTERS = 4;
const RING = SUB_WINDOWS + 1;

/** Whether `cost` fits now. */
export function fitsWindowSub(plan: LimitPlan, record: number, cost: number): boolean {
  advance(plan, record);
  return plan.f64[record + SUM]! + cost <= plan.capacity;
}

/** Ticks to wait before `cost` fits; 0 or less when it fits now. */
export function windowSubShortage(plan: LimitPlan, record: number, cost: number): number {
  const now = plan.ticks[NOW]!;
  advance(plan, record);
  const current = plan.f64[record + LATEST]!;
  let excess = plan.f64[record + SUM]! + cost - plan.capacity;
  if (excess <= 0) return 0;
  const counters = (record + COUNTERS) * plan.countersPerWord;
  for (let age = SUB_WINDOWS; age >= 0; age--) {
    const sub = current - age;
    if (sub < 0) continue;
    excess -= plan.counters[counters + (sub % RING)]!;
    if (excess <= 0) return (sub + 1 + SUB_WINDOWS) * plan.unitTicks - now;
  }
  return Number.POSITIVE_INFINITY;
}

/** Spends `cost`, which must fit. Booked in a sub-window, by its number. */
export function chargeWindowSub(plan: LimitPlan, record: number, cost: number): void {
  advance(plan, record);
  const current = plan.f64[record + LATEST]!;
  const at = (record + COUNTERS) * plan.countersPerWord + (current % RING);
  plan.f64[record + SUM] = plan.f64[record + SUM]! + cost;
  plan.counters[at] = plan.counters[at]! + cost;
  plan.ticks[BOOKED_AT] = current;
}

/** Frees `cost` in the sub-window it was booked in, if that still counts. */
export function refundWindowSub(
  plan: LimitPlan,
  record: number,
  cost: number,
  booked: number,
): void {
  advance(plan, record);
  const current = plan.f64[record + LATEST]!;
  if (current - booked > SUB_WINDOWS) return;
  const at = (record + COUNTERS) * plan.countersPerWord + (booked % RING);
  const freed = Math.min(cost, plan.counters[at]!);
  plan.counters[at] = plan.counters[at]! - freed;
  plan.f64[record + SUM] = plan.f64[record + SUM]! - freed;
}

export function remainingInWindowSub(plan: LimitPlan, record: number): number {
  advance(plan, record);
  return plan.capacity - plan.f64[record + SUM]!;
}

/** Ticks until the window is empty if nothing more is spent. */
export function windowSubResetTicks(plan: LimitPlan, record: number): number {
  return Math.max(0, windowSubShortage(plan, record, plan.capacity));
}

export function isWindowSubIdle(plan: LimitPlan, record: number): boolean {
  advance(plan, record);
  return plan.f64[record + SUM] === 0;
}

export function initWindowSub(plan: LimitPlan, record: number): void {
  const now = plan.ticks[NOW]!;
  plan.f64[record + LATEST] = Math.floor(now / plan.unitTicks);
  clear(plan, record);
}

/** Makes the sum again from the counters. */
export function repairWindowSub(plan: LimitPlan, record: number): void {
  const counters = (record + COUNTERS) * plan.countersPerWord;
  let sum = 0;
  for (let index = 0; index < RING; index++) sum += plan.counters[counters + index]!;
  plan.f64[record + SUM] = sum;
}

/** Drops the counters that left the window and makes the latest sub-window the current one; never goes back. */
function advance(plan: LimitPlan, record: number): void {
  const now = plan.ticks[NOW]!;
  const latest = plan.f64[record + LATEST]!;
  const current = Math.floor(now / plan.unitTicks);
  if (current <= latest) return;
  if (plan.f64[record + SUM] === 0) {
    plan.f64[record + LATEST] = current;
    return;
  }
  if (current - latest > SUB_WINDOWS) {
    clear(plan, record);
  } else {
    const counters = (record + COUNTERS) * plan.countersPerWord;
    let sum = plan.f64[record + SUM]!;
    for (let sub = latest + 1; sub <= current; sub++) {
      const at = counters + (sub % RING);
      sum -= plan.counters[at]!;
      plan.counters[at] = 0;
    }
    plan.f64[record + SUM] = sum;
  }
  plan.f64[record + LATEST] = current;
}

function clear(plan: LimitPlan, record: number): void {
  const counters = (record + COUNTERS) * plan.countersPerWord;
  plan.counters.fill(0, counters, counters + RING);
  plan.f64[record + SUM] = 0;
}
