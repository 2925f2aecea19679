import { noteDemand } from "./demand-meter.ts";
import type { HeldRecords } from "./held-records.ts";
import { chargeDenied, type charge } from "./limit-kind.ts";
import { KIND, REFUSALS } from "./limit-plan.ts";
import { isCoarse } from "./limit-table.ts";

/**
 * One position of a call that is admitted, at a limit in shadow mode: counts what the limit would have refused, charges
 * what it would have admitted, and measures both. Returns the units charged.
 */
export function chargeShadow(
  held: HeldRecords,
  call: { readonly position: number; readonly cost: number; readonly how: typeof charge },
): number {
  const { position, cost, how } = call;
  const plan = held.plans[position]!;
  const record = held.records[position]!;
  const isExcused = held.excused[position] === 1;
  if (isExcused) {
    Atomics.add(plan.i32, 2 * plan.header + REFUSALS, 1);
    if (plan.countsDenied && cost <= plan.capacity) chargeDenied(plan, record, cost);
  }
  // What is in flight is there, whoever would have refused it.
  const charged = isExcused && plan.kind !== KIND.concurrency ? 0 : cost;
  how(plan, record, charged);
  // Coarse records are of many callers.
  if (!isCoarse(plan, record)) noteDemand(plan, record, cost);
  return charged;
}
