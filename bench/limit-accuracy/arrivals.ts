/** One call of a caller. */
export interface Arrival {
  readonly atMs: number;
  readonly cost: number;
}

/** Who calls when, for a limit of `limit` in `seconds`; twelve windows long. Ascending in time. */
export type Arrivals = (limit: number, seconds: number) => Arrival[];

const WINDOWS = 12;

/** The same numbers in every run (Park and Miller, 1988), so that figures can be compared. */
function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

export const ARRIVALS: Readonly<Record<string, Arrivals>> = {
  /** Evenly, at 1.5 times the limit. */
  uniform: (limit, seconds) => {
    const calls = Math.ceil(WINDOWS * limit * 1.5);
    return Array.from({ length: calls }, (_, call) => ({
      atMs: Math.floor((call * WINDOWS * seconds * 1_000) / calls),
      cost: 1,
    }));
  },
  /** At random, at 1.5 times the limit. */
  poisson: (limit, seconds) => {
    const roll = dice(7);
    const calls: Arrival[] = [];
    const meanMs = (seconds * 1_000) / (limit * 1.5);
    for (let atMs = 0; atMs < WINDOWS * seconds * 1_000; atMs -= Math.log(1 - roll()) * meanMs) {
      calls.push({ atMs: Math.floor(atMs), cost: 1 });
    }
    return calls;
  },
  /** A first call, then everything just before the boundaries of windows, and everything again just after. */
  boundary: (limit, seconds) => {
    const windowMs = seconds * 1_000;
    const calls: Arrival[] = [{ atMs: 0, cost: 1 }];
    for (let window = 1; window < WINDOWS; window++) {
      for (const offsetMs of [-2, -1, 0, 1]) {
        for (let call = 0; call < limit; call++) {
          calls.push({ atMs: window * windowMs + offsetMs, cost: 1 });
        }
      }
    }
    return calls;
  },
  /** Idle, then as fast as it goes: whoever refuses is asked again at once, some hundred times a window. */
  greedy: (limit, seconds) => {
    const stepMs = Math.max(1, Math.floor((seconds * 1_000) / 400));
    const perStep = Math.max(1, Math.ceil(limit / 40));
    const calls: Arrival[] = [];
    for (let atMs = 900 * seconds; atMs < WINDOWS * seconds * 1_000; atMs += stepMs) {
      for (let call = 0; call < perStep; call++) calls.push({ atMs, cost: 1 });
    }
    return calls;
  },
  /** Large and small costs that straddle the limit. */
  weighted: (limit, seconds) => {
    const roll = dice(11);
    const calls: Arrival[] = [];
    for (let atMs = 0; atMs < WINDOWS * seconds * 1_000; atMs += Math.ceil(seconds * 50 * roll())) {
      calls.push({ atMs, cost: 1 + Math.floor(roll() * limit) });
    }
    return calls;
  },
};
