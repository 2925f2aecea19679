import type { LimitDefinition } from "./limit-definition.ts";

/**
 * The guarantee itself, for tests: a list of what was admitted and when, judged by definition. Written without a look at the
 * engine, in whole milliseconds, slow and obvious. Nothing outside tests imports it.
 */
export interface Admission {
  readonly atMs: number;
  readonly cost: number;
}

/** Whether a window limit would admit `cost` now: what was admitted in (now - W, now] leaves room. */
export function oracleAdmitsWindow(
  log: readonly Admission[],
  definition: LimitDefinition & { kind: "window" },
  call: Admission,
): boolean {
  const fromMs = call.atMs - definition.seconds * 1000;
  let used = 0;
  for (const { atMs, cost } of log) if (atMs > fromMs && atMs <= call.atMs) used += cost;
  return used + call.cost <= definition.limit;
}

/** Whether a bucket would: for every s before now, what was admitted in (s, now] stays under burst + rate * (now - s). */
export function oracleAdmitsBucket(
  log: readonly Admission[],
  definition: LimitDefinition & { kind: "bucket" },
  call: Admission,
): boolean {
  return excessOfBucket([...log, call], definition) <= 0;
}

/** The largest cost admitted in any (t - W, t], over all t. */
export function worstWindow(log: readonly Admission[], windowMs: number): number {
  let worst = 0;
  for (const { atMs: endMs } of log) {
    let cost = 0;
    for (const entry of log) {
      if (entry.atMs > endMs - windowMs && entry.atMs <= endMs) cost += entry.cost;
    }
    worst = Math.max(worst, cost);
  }
  return worst;
}

/**
 * The most by which any interval is above burst + rate * length; 0 or less when the guarantee holds.
 * Only intervals from just before one admission to another one can be worst. Computed as cost * seconds * 1000 in whole numbers.
 */
export function excessOfBucket(
  log: readonly Admission[],
  definition: LimitDefinition & { kind: "bucket" },
): number {
  const scale = definition.seconds * 1000;
  let worst = Number.NEGATIVE_INFINITY;
  for (const first of log) {
    for (const last of log) {
      if (last.atMs < first.atMs) continue;
      let cost = 0;
      for (const entry of log) {
        if (entry.atMs >= first.atMs && entry.atMs <= last.atMs) cost += entry.cost;
      }
      const allowed = definition.burst * scale + definition.count * (last.atMs - first.atMs);
      worst = Math.max(worst, cost * scale - allowed);
    }
  }
  return log.length === 0 ? 0 : worst / scale;
}
