// Histograms as a run of counters: one per bucket, one for what lies above the last bound, and the sum.

/** Upper bounds in milliseconds, ascending; inclusive, as Prometheus' `le` says. */
export type Bounds = readonly number[];

/** Whole requests: from what a memory takes to what a patient client waits. */
export const DURATION_BOUNDS_MS: Bounds = [
  0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000,
];

/** What the gateway adds: far finer, because 50 µs are the rule and 5 ms a reason to look. */
export const ADDED_BOUNDS_MS: Bounds = [
  0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 1_000,
];

/** How many cells a histogram takes. */
export const histogramCells = (bounds: Bounds): number => bounds.length + 2;

/** Counts `valueMs` in the cells from `offset` on. What is not a number of milliseconds is not counted. */
export function observe(
  cells: Float64Array,
  offset: number,
  bounds: Bounds,
  valueMs: number,
): void {
  // Also false for NaN, which would spoil the sum for good.
  if (!(valueMs >= 0 && valueMs < Number.POSITIVE_INFINITY)) return;
  let bucket = 0;
  while (bucket < bounds.length && valueMs > bounds[bucket]!) bucket += 1;
  cells[offset + bucket]! += 1;
  cells[offset + bounds.length + 1]! += valueMs;
}
