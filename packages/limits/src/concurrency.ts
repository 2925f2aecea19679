import { BOOKED_AT, type LimitPlan } from "./limit-plan.ts";
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

/**
 * What is in flight: two counters, of the holders taken or renewed in the present epoch and in the one before. Older
 * holders are lost: their thread ended or their caller forgot them, and their slots come free. A holder that was
 * lost and finishes after all gives nothing back twice, because its epoch is over.
 *
 * Record after the header: word 2 the holders (`open-units.ts`).
 */

const OPEN = 2;

export function fitsConcurrency(plan: LimitPlan, record: number, cost: number): boolean {
  return inFlight(plan, record) + cost <= plan.capacity;
}

/** Holds `cost`, whether it fits or not. Booked at its epoch, or at -1 when it cannot be counted: nothing is held then. */
export function holdConcurrency(plan: LimitPlan, record: number, cost: number): void {
  const at = 2 * (record + OPEN);
  inFlight(plan, record);
  const epoch = latestEpoch(plan, at);
  plan.ticks[BOOKED_AT] = addOpen(plan, at, cost, epoch) ? epoch : -1;
}

/** Gives back what was held since `epoch`; nothing when it was lost meanwhile. */
export function finishConcurrency(
  plan: LimitPlan,
  record: number,
  cost: number,
  epoch: number,
): void {
  const at = 2 * (record + OPEN);
  inFlight(plan, record);
  if (isStillOpen(plan, at, epoch)) closeOpen(plan, at, cost, epoch);
}

/** Moves a holder to the present epoch, noted in `plan.ticks[BOOKED_AT]`; -1 there when it was lost. */
export function renewConcurrency(
  plan: LimitPlan,
  record: number,
  cost: number,
  epoch: number,
): void {
  const at = 2 * (record + OPEN);
  inFlight(plan, record);
  plan.ticks[BOOKED_AT] = -1;
  if (!isStillOpen(plan, at, epoch)) return;
  const latest = latestEpoch(plan, at);
  // Held twice before it is given back once: a thread ended in between only denies.
  if (latest !== epoch) {
    if (!addOpen(plan, at, cost, latest)) return;
    closeOpen(plan, at, cost, epoch);
  }
  plan.ticks[BOOKED_AT] = latest;
}

export function remainingInConcurrency(plan: LimitPlan, record: number): number {
  return Math.max(0, plan.capacity - inFlight(plan, record));
}

export function initConcurrency(plan: LimitPlan, record: number): void {
  plan.f64[record + OPEN] = 0;
}

/** Units held, the lost ones forgotten. */
export function inFlight(plan: LimitPlan, record: number): number {
  const at = 2 * (record + OPEN);
  if (!hasOpen(plan, at)) return 0;
  const epoch = latestEpoch(plan, at);
  const behind = epochsBehind(plan, at, epoch);
  if (behind > 0) {
    for (let step = 1; step <= Math.min(behind, 2); step++) {
      forgetOpen(plan, at, epoch - behind + step);
    }
    storeEpoch(plan.i32, at, epoch);
  }
  return openUnits(plan, at);
}
