import type { Clock, Timer } from "./clock.ts";

/** A clock that moves only when told; both times move together unless `stepWall` is used. */
export interface ManualClock extends Clock {
  /** Moves both clocks forward and runs, in order of their time, every task that became due on the way. */
  advance(byMs: number): void;
  /** Moves only the wall clock, forward or back, as an operator or NTP would. */
  stepWall(byMs: number): void;
  /** How many tasks wait. */
  readonly pendingTimers: number;
}

/** @param startMs what both clocks show first */
export function manualClock(startMs: number): ManualClock {
  let monotonic = startMs;
  let wall = startMs;
  const waiting: { atMs: number; task: () => void }[] = [];

  const advance = (byMs: number): void => {
    const untilMs = monotonic + byMs;
    for (;;) {
      const next = waiting
        .filter((entry) => entry.atMs <= untilMs)
        .toSorted((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined) break;
      waiting.splice(waiting.indexOf(next), 1);
      wall += Math.max(0, next.atMs - monotonic);
      monotonic = Math.max(monotonic, next.atMs);
      next.task();
    }
    wall += untilMs - monotonic;
    monotonic = untilMs;
  };

  return {
    monotonicMs: () => monotonic,
    wallMs: () => wall,
    after(delayMs, task): Timer {
      const entry = { atMs: monotonic + Math.max(0, delayMs), task };
      waiting.push(entry);
      return {
        cancel() {
          const at = waiting.indexOf(entry);
          if (at >= 0) waiting.splice(at, 1);
        },
      };
    },
    advance,
    stepWall(byMs) {
      wall += byMs;
    },
    get pendingTimers() {
      return waiting.length;
    },
  };
}
