import { systemClock, systemRandom } from "@tidegate/clock";
import { createLimitReport } from "@tidegate/limits";
import {
  createSharedLimiter,
  PENDING,
  RedisStore,
  SHARED_OUTCOME,
  type SharedLimiter,
} from "@tidegate/limits/redis";
import { Redis } from "ioredis";
import { RateLimiterRedis } from "rate-limiter-flexible";

/** One node with a limit of `limit` in `seconds` for each key, kept in Redis. */
export interface Contender {
  /** Decides `calls` times, key after key. `noted` is told of admissions and when they were decided. */
  run(keys: readonly string[], calls: number, noted?: Noted): Promise<number>;
  close(): Promise<void>;
}
export type Noted = (atMs: number, units: number) => void;

interface Limit {
  readonly url: string;
  readonly limit: number;
  readonly seconds: number;
  /** How long one of ours waits for Redis; the peer waits for ever. */
  readonly budgetMs: number;
}

/** Calls that a gateway has in hand at once: a chunk of messages, or as many requests on their way. */
const AT_ONCE = 64;

export const CONTENDERS: Readonly<Record<string, (limit: Limit) => Promise<Contender>>> = {
  async ours({ url, limit, seconds, budgetMs }) {
    const prefix = "bench";
    const store = new RedisStore({
      url,
      clock: systemClock,
      random: systemRandom,
      node: systemRandom.bytes(9).toString("base64url"),
      prefix,
      whenEmpty: "grant",
      whenRestarted: "learn",
    });
    const definition = { kind: "window", name: "bench", limit, seconds } as const;
    const limiter = createSharedLimiter({
      limits: new Map([[0, { definition, whenStoreLost: "deny" }]]),
      store,
      clock: systemClock,
      random: systemRandom,
      prefix,
      nodes: 2,
      budgetMs,
    });
    while (!store.isUp) await new Promise((resolve) => void setTimeout(resolve, 5));
    return byHandle(limiter);
  },

  /** In its best documented settings: the script by its hash, commands of one turn in one write, refusals known locally. */
  async "rate-limiter-flexible"({ url, limit, seconds }) {
    const client = new Redis(url, {
      enableAutoPipelining: true,
      enableOfflineQueue: false,
      lazyConnect: true,
    });
    await client.connect();
    const limiter = new RateLimiterRedis({
      storeClient: client,
      points: limit,
      duration: seconds,
      keyPrefix: "bench",
      inMemoryBlockOnConsumed: limit,
    });
    return {
      async run(keys, calls) {
        let admitted = 0;
        for (let done = 0; done < calls; done += AT_ONCE) {
          const batch = Array.from({ length: Math.min(AT_ONCE, calls - done) }, (_, at) =>
            limiter.consume(keys[(done + at) % keys.length]!).then(
              () => admitted++,
              () => undefined,
            ),
          );
          await Promise.all(batch);
        }
        return admitted;
      },
      async close() {
        client.disconnect();
      },
    };
  },
};

function byHandle(limiter: SharedLimiter): Contender {
  const handles = new Map<string, Int32Array>();
  const costs = Int32Array.of(1);
  const report = createLimitReport();
  const { signal } = new AbortController();
  const handleOf = (key: string): Int32Array => {
    const known = handles.get(key) ?? Int32Array.of(limiter.intern(0, key));
    handles.set(key, known);
    return known;
  };
  return {
    async run(keys, calls, noted) {
      const own = keys.map(handleOf);
      let admitted = 0;
      for (let done = 0; done < calls; done += AT_ONCE) {
        const nowMs = Math.floor(systemClock.monotonicMs());
        let here = 0;
        const waiting: Promise<void>[] = [];
        for (let at = done; at < Math.min(done + AT_ONCE, calls); at++) {
          const handle = own[at % own.length]!;
          const outcome = limiter.acquire(handle, costs, 1, nowMs, report);
          if (outcome === SHARED_OUTCOME.admitted) here++;
          else if (outcome === PENDING) {
            const then = limiter.acquireRemote(
              handle,
              costs,
              1,
              createLimitReport(),
              undefined,
              signal,
            );
            waiting.push(
              then.then((late) => {
                if (late !== SHARED_OUTCOME.admitted) return;
                admitted++;
                noted?.(systemClock.monotonicMs(), 1);
              }),
            );
          }
        }
        admitted += here;
        if (here > 0) noted?.(nowMs, here);
        if (waiting.length > 0) await Promise.all(waiting);
        // As a server does between two chunks; without it no reply could arrive.
        else await new Promise((resolve) => void setImmediate(resolve));
      }
      return admitted;
    },
    close: () => limiter[Symbol.asyncDispose](),
  };
}
