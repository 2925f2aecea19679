import assert from "node:assert/strict";
import { BOOKED_AT, NOW, type LimitPlan } from "./limit-plan.ts";

/**
 * Calendar quota: what was spent in one period. A period that is over is forgotten by the first call of a later one.
 *
 * Record after the header: word 2, two 32-bit elements: the period (see `QuotaCalendar`), and what was spent in it.
 */

const PERIOD = 4;
const USED = 5;
const MOST_USED = 2 ** 31 - 1;

export function fitsQuota(plan: LimitPlan, record: number, cost: number): boolean {
  return usedOfQuota(plan, record) + cost <= plan.capacity;
}

/** Ticks to wait before `cost` fits: to the end of the period; 0 when it fits now. */
export function quotaShortage(plan: LimitPlan, record: number, cost: number): number {
  if (fitsQuota(plan, record, cost)) return 0;
  return calendarOf(plan).ticksToEnd(plan.ticks, NOW);
}

/** Spends `cost`, whether it fits or not. Booked in its period. */
export function chargeQuota(plan: LimitPlan, record: number, cost: number): void {
  const used = usedOfQuota(plan, record);
  const period = periodOf(plan);
  // The period first: a thread ended in between leaves the old sum in the new period, which only denies.
  plan.i32[2 * record + PERIOD] = period;
  plan.i32[2 * record + USED] = Math.min(MOST_USED, used + cost);
  plan.ticks[BOOKED_AT] = period;
}

/** Frees `cost` if the period it was booked in is still on. */
export function refundQuota(plan: LimitPlan, record: number, cost: number, period: number): void {
  if (plan.i32[2 * record + PERIOD]! !== period) return;
  plan.i32[2 * record + USED] = Math.max(0, plan.i32[2 * record + USED]! - cost);
}

export function remainingInQuota(plan: LimitPlan, record: number): number {
  return Math.max(0, plan.capacity - usedOfQuota(plan, record));
}

export function quotaResetTicks(plan: LimitPlan, record: number): number {
  return usedOfQuota(plan, record) === 0 ? 0 : calendarOf(plan).ticksToEnd(plan.ticks, NOW);
}

export function isQuotaIdle(plan: LimitPlan, record: number): boolean {
  return usedOfQuota(plan, record) === 0;
}

export function initQuota(plan: LimitPlan, record: number): void {
  plan.f64[record + PERIOD / 2] = 0;
}

/** Period that a record counts in, whatever period it is now. */
export function periodOfRecord(plan: LimitPlan, record: number): number {
  return plan.i32[2 * record + PERIOD]!;
}

/** The period calls are decided in. */
export function periodOf(plan: LimitPlan): number {
  return calendarOf(plan).periodOf(plan.ticks, NOW);
}

export function usedOfQuota(plan: LimitPlan, record: number): number {
  return plan.i32[2 * record + PERIOD]! < periodOf(plan) ? 0 : plan.i32[2 * record + USED]!;
}

function calendarOf(plan: LimitPlan) {
  assert(plan.calendar !== undefined, "a quota has a calendar");
  return plan.calendar;
}
