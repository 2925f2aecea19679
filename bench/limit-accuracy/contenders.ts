import { manualClock, systemRandom, type ManualClock } from "@tidegate/clock";
import { createLimiter, createLimitReport, OUTCOME, type LimitDefinition } from "@tidegate/limits";
import LocalStore from "@fastify/rate-limit/store/LocalStore.js";
import { MemoryStore, type Options } from "express-rate-limit";
import { TokenBucket } from "limiter";
import { RateLimiterMemory } from "rate-limiter-flexible";

/** One caller under `limit` in `seconds`, on the clock that everybody sees. */
export type Admits = (cost: number) => boolean | Promise<boolean>;
export type OpenContender = (limit: number, seconds: number) => Admits;

/** The time of the run. Peers read `Date.now` and `performance.now`, which `main.ts` puts on it. */
export const clock: ManualClock = manualClock(1_000_000);

export const CONTENDERS: Readonly<Record<string, OpenContender>> = {
  "ours-exact": (limit, seconds) =>
    ours({ kind: "window", name: "w", limit, seconds, precision: "exact" }),
  "ours-sub-windows": (limit, seconds) =>
    ours({ kind: "window", name: "w", limit, seconds, precision: "sub-windows" }),
  "rate-limiter-flexible": (limit, seconds) => {
    const limiter = new RateLimiterMemory({ points: limit, duration: seconds });
    return async (cost) => {
      try {
        await limiter.consume("ada", cost);
        return true;
      } catch {
        return false;
      }
    };
  },
  // Both count calls, not cost: a call of cost c is c calls of which the last decides.
  "express-rate-limit": (limit, seconds) => {
    const store = new MemoryStore();
    store.init({ windowMs: seconds * 1_000 } as Options);
    return async (cost) => {
      let hits = 0;
      for (let unit = 0; unit < cost; unit++) hits = (await store.increment("ada")).totalHits;
      return hits <= limit;
    };
  },
  "fastify-rate-limit": (limit, seconds) => {
    const store = new LocalStore(false, false, 5_000);
    return (cost) => {
      let hits = 0;
      const answer = (_error: unknown, result: { current: number } | null): void => {
        hits = result?.current ?? Number.POSITIVE_INFINITY;
      };
      for (let unit = 0; unit < cost; unit++) store.incr("ada", answer, seconds * 1_000, limit);
      return hits <= limit;
    };
  },
  limiter: (limit, seconds) => {
    const interval = seconds * 1_000;
    const bucket = new TokenBucket({ bucketSize: limit, tokensPerInterval: limit, interval });
    bucket.content = limit;
    return (cost) => bucket.tryRemoveTokens(cost);
  },
  // Controls written here: what must fail, or the harness is broken.
  "control-fixed-window": (limit, seconds) => {
    let [window, used] = [-1, 0];
    return (cost) => {
      const current = Math.floor(clock.monotonicMs() / (seconds * 1_000));
      if (current !== window) [window, used] = [current, 0];
      if (used + cost > limit) return false;
      used += cost;
      return true;
    };
  },
  "control-interpolated": (limit, seconds) => {
    let [window, used, before] = [-1, 0, 0];
    return (cost) => {
      const at = clock.monotonicMs() / (seconds * 1_000);
      const current = Math.floor(at);
      if (current !== window) {
        before = current === window + 1 ? used : 0;
        [window, used] = [current, 0];
      }
      if (Math.floor(before * (1 - (at - current))) + used + cost > limit) return false;
      used += cost;
      return true;
    };
  },
};

function ours(definition: LimitDefinition): Admits {
  const limiter = createLimiter({ definitions: [definition], random: systemRandom, clock });
  const handles = Int32Array.of(limiter.intern(0, "ada"));
  const report = createLimitReport();
  return (cost) => {
    const costs = Int32Array.of(cost);
    return limiter.acquire(handles, costs, 1, clock.monotonicMs(), report) === OUTCOME.admitted;
  };
}
