/**
 * The engine's unit of time: 1/65536 ms. Scaling by a power of two is exact in a double, whole
 * numbers below 2^53 are too, so nothing is lost by rounding for 4.3 years of uptime plus horizon.
 * The decision instant of a call is the tick in which its time falls.
 */
export const TICKS_PER_MS = 65_536;

/** The longest span (window, or time in which a full bucket refills): one year. Uptime plus span then stays below 2^53 ticks. */
export const LONGEST_SPAN_SECONDS = 366 * 24 * 3600;

/** Exact, as the divisor is a power of two. */
export function toMs(ticks: number): number {
  return ticks / TICKS_PER_MS;
}
