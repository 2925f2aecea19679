import type { Arrival } from "./arrivals.ts";

/** The largest cost in any (t − W, t]. Two pointers over what was admitted; written without a look at any limiter. */
export function worstWindow(admitted: readonly Arrival[], windowMs: number): number {
  let worst = 0;
  let sum = 0;
  let oldest = 0;
  for (const { atMs, cost } of admitted) {
    sum += cost;
    while (admitted[oldest]!.atMs <= atMs - windowMs) sum -= admitted[oldest++]!.cost;
    worst = Math.max(worst, sum);
  }
  return worst;
}

/** What a limiter that refuses only when it must would admit of these arrivals, one after the other. */
export function admitExactly(
  arrivals: readonly Arrival[],
  limit: number,
  windowMs: number,
): Arrival[] {
  const admitted: Arrival[] = [];
  let sum = 0;
  let oldest = 0;
  for (const arrival of arrivals) {
    while (oldest < admitted.length && admitted[oldest]!.atMs <= arrival.atMs - windowMs) {
      sum -= admitted[oldest++]!.cost;
    }
    if (sum + arrival.cost > limit) continue;
    sum += arrival.cost;
    admitted.push(arrival);
  }
  return admitted;
}

export function totalCost(arrivals: readonly Arrival[]): number {
  return arrivals.reduce((sum, { cost }) => sum + cost, 0);
}
