import type { Clock } from "@tidegate/clock";

/**
 * Wall time for forgetting: never ahead of what has really passed since now. A machine's clock that jumps ahead and is
 * set back must not have made us forget in between what still counts.
 * @returns a function that gives wall milliseconds
 */
export function steadyWallTime(clock: Clock): () => number {
  const aheadMs = clock.wallMs() - clock.monotonicMs();
  return () => Math.min(clock.wallMs(), aheadMs + clock.monotonicMs());
}
