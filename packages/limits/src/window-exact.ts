import { BOOKED_AT, NOW, type LimitPlan } from "./limit-plan.ts";

/**
 * Strict window that remembers each admitted unit with its time, in a ring of `capacity` 32-bit times. A cost of c fits
 * if the c-th oldest time has left the window: no scan, and no unit is held longer than promised beyond rounding.
 *
 * Times are stored rounded up and read against now rounded down, so rounding only denies. Time never goes back in a
 * record: an earlier now is decided at the latest time admitted.
 *
 * Record after the header: word 2 latest admitted tick; then 32-bit elements: position of the oldest time, and the times,
 * modulo 2^32, compared by difference. When the latest has left the window all have, and the ring is cleared, so no
 * time grows older than capacity + 1 windows (`limit-plan.ts` sizes the unit for that).
 */

const LATEST = 2;
const OLDEST_AT = 6;
const TIMES_AT = 7;

/** Whether `cost` fits now. */
export function fitsWindowExact(plan: LimitPlan, record: number, cost: number): boolean {
  if (cost === 0) return true;
  const now = plan.ticks[NOW]!;
  const latest = plan.f64[record + LATEST]!;
  if (now - latest >= plan.spanTicks + plan.unitTicks) return true;
  return ageOf(plan, record, cost - 1) >= plan.spanUnits;
}

/** Ticks to wait before `cost` fits; 0 or less when it fits now. */
export function windowExactShortage(plan: LimitPlan, record: number, cost: number): number {
  const now = plan.ticks[NOW]!;
  if (cost === 0) return 0;
  const latest = plan.f64[record + LATEST]!;
  if (now - latest >= plan.spanTicks + plan.unitTicks) return 0;
  const at = now > latest ? now : latest;
  const age = ageOf(plan, record, cost - 1);
  if (age >= plan.spanUnits) return 0;
  // From now, not from `at`: whoever is told to wait measures with their own clock.
  return (plan.spanUnits - age) * plan.unitTicks + (at - now);
}

/** Spends `cost`, which must fit. Booked at a tick, for `refundWindowExact`. */
export function chargeWindowExact(plan: LimitPlan, record: number, cost: number): void {
  const { i32, f64, capacity } = plan;
  const now = plan.ticks[NOW]!;
  const latest = f64[record + LATEST]!;
  if (now - latest >= plan.spanTicks + plan.unitTicks) clear(plan, record);
  const at = now > latest ? now : latest;
  const time = Math.ceil(at / plan.unitTicks) | 0;
  const times = 2 * record + TIMES_AT;
  let oldest = i32[2 * record + OLDEST_AT]!;
  f64[record + LATEST] = at;
  for (let left = cost; left > 0; left--) {
    i32[times + oldest] = time;
    oldest = oldest + 1 === capacity ? 0 : oldest + 1;
  }
  i32[2 * record + OLDEST_AT] = oldest;
  plan.ticks[BOOKED_AT] = at;
}

/** Spends `cost` whether it fits or not: the ring holds the latest units, up to the capacity. */
export function overchargeWindowExact(plan: LimitPlan, record: number, cost: number): void {
  chargeWindowExact(plan, record, Math.min(cost, plan.capacity));
}

/**
 * Takes `cost` units booked at tick `at` out of the ring. Units of the same time are interchangeable, so it matters not
 * which are taken. Older times move up by copying, newest gap first: a thread ended in between
 * leaves a time twice, which only denies.
 */
export function refundWindowExact(plan: LimitPlan, record: number, cost: number, at: number): void {
  const { i32, capacity } = plan;
  const time = Math.ceil(at / plan.unitTicks) | 0;
  const free = (time - 2 * plan.spanUnits) | 0;
  const times = 2 * record + TIMES_AT;
  const oldest = i32[2 * record + OLDEST_AT]!;
  let left = cost;
  // From the newest to the oldest; what is kept moves towards the newest end.
  let to = capacity - 1;
  for (let from = capacity - 1; from >= 0; from--) {
    const kept = i32[times + ((oldest + from) % capacity)]!;
    if (left > 0 && kept === time) {
      left--;
      continue;
    }
    if (to !== from) i32[times + ((oldest + to) % capacity)] = kept;
    to--;
  }
  for (; to >= 0; to--) i32[times + ((oldest + to) % capacity)] = free;
}

export function remainingInWindowExact(plan: LimitPlan, record: number): number {
  const now = plan.ticks[NOW]!;
  const latest = plan.f64[record + LATEST]!;
  if (now - latest >= plan.spanTicks + plan.unitTicks) return plan.capacity;
  // Ages fall from the oldest to the newest: the first that is still inside the window tells how many are free.
  let low = 0;
  let high = plan.capacity;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ageOf(plan, record, middle) >= plan.spanUnits) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Ticks until the window is empty if nothing more is spent. */
export function windowExactResetTicks(plan: LimitPlan, record: number): number {
  const wait = windowExactShortage(plan, record, plan.capacity);
  return wait > 0 ? wait : 0;
}

export function isWindowExactIdle(plan: LimitPlan, record: number): boolean {
  return windowExactShortage(plan, record, plan.capacity) <= 0;
}

export function initWindowExact(plan: LimitPlan, record: number): void {
  plan.f64[record + LATEST] = 0;
  plan.i32[2 * record + OLDEST_AT] = 0;
  clear(plan, record);
}

/** After a restart: times move by `shiftTicks`, rounded up. */
export function resumeWindowExact(plan: LimitPlan, record: number, shiftTicks: number): void {
  const shiftUnits = Math.ceil(shiftTicks / plan.unitTicks);
  const times = 2 * record + TIMES_AT;
  for (let at = times; at < times + plan.capacity; at++)
    plan.i32[at] = (plan.i32[at]! + shiftUnits) | 0;
  plan.f64[record + LATEST] = plan.f64[record + LATEST]! + shiftUnits * plan.unitTicks;
}

/** Age in units of the time at `position` counted from the oldest, as of now or of the latest admission. */
function ageOf(plan: LimitPlan, record: number, position: number): number {
  const now = plan.ticks[NOW]!;
  const latest = plan.f64[record + LATEST]!;
  const at = now > latest ? now : latest;
  const place = plan.i32[2 * record + OLDEST_AT]! + position;
  const inRing = place >= plan.capacity ? place - plan.capacity : place;
  return (Math.floor(at / plan.unitTicks) - plan.i32[2 * record + TIMES_AT + inRing]!) | 0;
}

/** Twice the window back, so that a clock somewhat behind sees them expired too. */
function clear(plan: LimitPlan, record: number): void {
  const now = plan.ticks[NOW]!;
  const expired = (Math.floor(now / plan.unitTicks) - 2 * plan.spanUnits) | 0;
  const times = 2 * record + TIMES_AT;
  plan.i32.fill(expired, times, times + plan.capacity);
}
