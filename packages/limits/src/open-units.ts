import { NOW, type LimitPlan } from "./limit-plan.ts";

/**
 * Units that somebody may still give back, counted by the epoch in which they were taken: one word, two counters of
 * 24 bits (even and odd epochs) and 16 bits of epoch, 8 in each half. Units whose holder vanished are forgotten
 * after one to two epochs; what that means is for the kind to say.
 *
 * `at` is the first of the word's two 32-bit elements. An epoch lasts `plan.epochTicks`.
 */

const COUNT_MASK = 0xffffff;

/** Whether any unit is open, or was when last looked at. Messages that are not refundable find none: the short way. */
export function hasOpen(plan: LimitPlan, at: number): boolean {
  return ((plan.i32[at]! | plan.i32[at + 1]!) & COUNT_MASK) !== 0;
}

export function openUnits(plan: LimitPlan, at: number): number {
  return (plan.i32[at]! & COUNT_MASK) + (plan.i32[at + 1]! & COUNT_MASK);
}

/** The epoch of now, or the record's own if that is later (a stale clock must not bring expired units back). */
export function latestEpoch(plan: LimitPlan, at: number): number {
  const epoch = Math.floor(plan.ticks[NOW]! / plan.epochTicks);
  if (!hasOpen(plan, at)) {
    storeEpoch(plan.i32, at, epoch);
    return epoch;
  }
  const behind = (epoch - storedEpoch(plan.i32, at)) & 0xffff;
  return behind < 0x8000 ? epoch : epoch + 0x10000 - behind;
}

/** Epochs that have begun since units were last looked at. */
export function epochsBehind(plan: LimitPlan, at: number, epoch: number): number {
  return (epoch - storedEpoch(plan.i32, at)) & 0xffff;
}

/** Forgets the units of the epoch that shares its counter with `epoch`. */
export function forgetOpen(plan: LimitPlan, at: number, epoch: number): void {
  const counter = at + (epoch & 1);
  plan.i32[counter] = plan.i32[counter]! & ~COUNT_MASK;
}

/** Opens units; false when the counter has no room for them. `epoch` is the latest. */
export function addOpen(plan: LimitPlan, at: number, units: number, epoch: number): boolean {
  const counter = at + (epoch & 1);
  const open = plan.i32[counter]! & COUNT_MASK;
  if (open + units > COUNT_MASK) return false;
  plan.i32[counter] = (plan.i32[counter]! & ~COUNT_MASK) | (open + units);
  return true;
}

export function closeOpen(plan: LimitPlan, at: number, units: number, epoch: number): void {
  const counter = at + (epoch & 1);
  const open = plan.i32[counter]! & COUNT_MASK;
  plan.i32[counter] = (plan.i32[counter]! & ~COUNT_MASK) | Math.max(0, open - units);
}

/** Whether units of that epoch still count. */
export function isStillOpen(plan: LimitPlan, at: number, epoch: number): boolean {
  return epoch >= 0 && latestEpoch(plan, at) - epoch <= 1;
}

export function storeEpoch(i32: Int32Array, at: number, epoch: number): void {
  i32[at] = (((epoch >>> 8) & 0xff) << 24) | (i32[at]! & COUNT_MASK);
  i32[at + 1] = ((epoch & 0xff) << 24) | (i32[at + 1]! & COUNT_MASK);
}

function storedEpoch(i32: Int32Array, at: number): number {
  return ((i32[at]! >>> 24) << 8) | (i32[at + 1]! >>> 24);
}
