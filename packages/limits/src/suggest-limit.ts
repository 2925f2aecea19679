import type { DemandStatistics } from "./demand-statistics.ts";
import type { LimitDefinition } from "./limit-definition.ts";

/** Numbers that measured demand speaks for. */
export interface LimitSuggestion {
  readonly name: string;
  /** Windows of callers measured. Below `FEWEST_SAMPLES` there are no proposals. */
  readonly samples: number;
  /** From strict to generous; equal ones are left out. */
  readonly proposals: readonly {
    readonly definition: LimitDefinition;
    /** Share of the measured windows in which a caller asked for more than this: at most so many would have met a refusal. */
    readonly refusedShare: number;
  }[];
}

/** A quantile of a thousandth says nothing about fewer. */
export const FEWEST_SAMPLES = 100;

/**
 * Proposes numbers for a limit that ran in shadow mode: one that nearly everybody stays under (99 %), one that only one
 * window in a thousand meets, and half as much again as anybody asked for. Pure.
 *
 * Rounded up to numbers people choose (two digits: 1, 2, … 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100, 120, …). For a bucket both
 * refill and burst are proposed as that number per `seconds`: whoever asks for no more than P in any window of
 * `seconds` is never refused by a bucket of burst P refilled at P per `seconds`.
 */
export function suggestLimit(statistics: DemandStatistics): LimitSuggestion {
  const { definition, peaks } = statistics;
  const samples = peaks.reduce((sum, { count }) => sum + count, 0);
  const { name } = definition;
  if (samples < FEWEST_SAMPLES) return { name, samples, proposals: [] };
  const highest = peaks.at(-1)!.atMost;
  const capacities = [
    quantile(peaks, samples * 0.99),
    quantile(peaks, samples * 0.999),
    Math.ceil(highest * 1.5),
  ].map(toRoundNumber);
  return {
    name,
    samples,
    proposals: [...new Set(capacities)].map((capacity) => ({
      definition: withCapacity(definition, capacity),
      refusedShare:
        peaks.reduce((sum, { atMost, count }) => sum + (atMost > capacity ? count : 0), 0) /
        samples,
    })),
  };
}

function quantile(peaks: DemandStatistics["peaks"], rank: number): number {
  let seen = 0;
  for (const { atMost, count } of peaks) {
    seen += count;
    if (seen >= rank) return atMost;
  }
  return peaks.at(-1)!.atMost;
}

const STEPS = [10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100] as const;
const LARGEST = 2 ** 31 - 1;

function toRoundNumber(value: number): number {
  if (value <= 10) return Math.max(1, Math.ceil(value));
  const scale = 10 ** Math.floor(Math.log10(value) - 1);
  const step = STEPS.find((each) => each * scale >= value) ?? 100;
  return Math.min(LARGEST, step * scale);
}

/** The same limit, in earnest, with other numbers. */
function withCapacity(definition: LimitDefinition, capacity: number): LimitDefinition {
  const { shadow: _, ...earnest } = definition;
  return earnest.kind === "bucket"
    ? { ...earnest, count: capacity, burst: capacity }
    : { ...earnest, limit: capacity };
}
