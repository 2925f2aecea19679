import type { Clock, Random } from "@tidegate/clock";
import type { EmbeddedLimiter } from "@tidegate/limits";
import { createSharedLimiter, RedisStore } from "@tidegate/limits/redis";
import type { Readiness } from "../admin/readiness.ts";
import type { GatewayConfig } from "../config/schema.ts";
import type { CallLimiter } from "../judge/call-limiter.ts";
import { limitStoreLost, limitStoreReached } from "../record/events.ts";
import type { Log } from "../record/logger.ts";
import { LOST_MODES, type Metrics } from "../record/metrics.ts";
import { sharedLimitsOf } from "../route/compile-routes.ts";

/** The limits of one thread, some of them shared with other gateways. Each thread is a node of its own to the store. */
export interface SharedLimits extends AsyncDisposable {
  readonly limiter: CallLimiter;
  readiness(): readonly Readiness[];
  /** Resolves when the store answers, or after `waitMs`: a gateway that cannot reach it starts all the same, and says so. */
  whenUp(waitMs: number): Promise<void>;
}

/** How often the counters are brought up to date. */
const COUNT_MS = 250;
const LOOK_MS = 10;

/** @returns undefined when no limit is shared */
export function shareLimits({
  config,
  local,
  worker,
  workers,
  metrics,
  log,
  clock,
  random,
}: {
  readonly config: GatewayConfig;
  readonly local: EmbeddedLimiter;
  readonly worker: number;
  readonly workers: number;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
}): SharedLimits | undefined {
  const { limitStore } = config;
  const limits = sharedLimitsOf(config);
  if (limitStore === undefined || limits.size === 0) return undefined;
  const { url, prefix, whenEmpty, whenRestarted, gateways, budgetMs } = limitStore;
  const counters = metrics.limitStoreCounters();
  const store = new RedisStore({
    url,
    clock,
    random,
    node: random.bytes(9).toString("base64url"),
    prefix: `${prefix}:limits`,
    whenEmpty,
    whenRestarted,
    stateChanged(state, reason) {
      if (state === "up") limitStoreReached(log, { worker });
      else limitStoreLost(log, { worker, reason });
    },
  });
  const limiter = createSharedLimiter({
    limits,
    local,
    store,
    clock,
    random,
    prefix: `${prefix}:limits`,
    nodes: gateways * workers,
    budgetMs,
  });
  const count = (): void => {
    const { whileLost } = limiter.statistics();
    counters[0] = store.isUp ? 1 : 0;
    for (const [at, mode] of LOST_MODES.entries()) counters[at + 1] = whileLost[mode];
    timer = clock.after(COUNT_MS, count);
  };
  let timer = clock.after(COUNT_MS, count);
  return {
    limiter,
    readiness() {
      const detail = store.isUp
        ? "Limits are shared with other gateways"
        : "The limit store does not answer: shared limits do what `whenStoreLost` says";
      return [{ name: "limits", isReady: store.isUp, detail }];
    },
    whenUp(waitMs) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const endMs = clock.monotonicMs() + waitMs;
      const look = (): void => {
        if (store.isUp || clock.monotonicMs() >= endMs) resolve();
        else clock.after(LOOK_MS, look);
      };
      look();
      return promise;
    },
    async [Symbol.asyncDispose]() {
      timer.cancel();
      await limiter[Symbol.asyncDispose]();
    },
  };
}
