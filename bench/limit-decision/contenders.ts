import { systemClock, systemRandom } from "@tidegate/clock";
import {
  attachLimiter,
  beginLockOwner,
  createKeyedLimiter,
  createLimiter,
  createLimiterMemory,
  createLimitReport,
  OUTCOME,
  type LimitDefinition,
  type Limiter,
} from "@tidegate/limits";
import LocalStore from "@fastify/rate-limit/store/LocalStore.js";
import { MemoryStore, type Options } from "express-rate-limit";
import { TokenBucket } from "limiter";
import { RateLimiterMemory } from "rate-limiter-flexible";

/** One limiter with a limit of `limit` in a minute for each key. */
export interface Contender {
  /** Decides `calls` times, key after key, and returns how many were admitted. */
  run(keys: readonly string[], calls: number): number | Promise<number>;
}

const SECONDS = 60;

type OpenContender = (limit: number, maxKeys: number) => Contender;

const ours: Readonly<Record<string, OpenContender>> = {
  /** Ours by key: what a person who installs the package alone would write. */
  ours: (limit, maxKeys) => byKey(window(limit, maxKeys)),
  "ours-bucket": (limit, maxKeys) => byKey(bucket(limit, maxKeys)),
  /** By handle, the time read once per decision. */
  "ours-handle": (limit, maxKeys) =>
    byHandle(openAlone(limit, maxKeys), () => systemClock.monotonicMs()),
  /** What the gateway does for each message: by handle, the time read once per chunk of 16. */
  "ours-handle-chunk": (limit, maxKeys) => byHandle(openAlone(limit, maxKeys), clockPerChunk()),
  /** The same over shared memory, with record locks. */
  "ours-handle-chunk-shared": (limit, maxKeys) => {
    const memory = createLimiterMemory({
      definitions: [window(limit, maxKeys)],
      random: systemRandom,
      reservationMs: 30_000,
    });
    const limiter = attachLimiter({ memory, lockOwner: beginLockOwner(memory, 1) });
    return byHandle(limiter, clockPerChunk());
  },
};

/** Everyone in their best documented settings: in memory, no queue, keys as they are. */
const peers: Readonly<Record<string, OpenContender>> = {
  /** Answers with a promise. Fixed window. */
  "rate-limiter-flexible": (limit) => {
    const limiter = new RateLimiterMemory({ points: limit, duration: SECONDS });
    return eachAwaited(async (key) => {
      try {
        await limiter.consume(key);
        return true;
      } catch {
        return false;
      }
    });
  },
  /** Answers with a promise; counts only, so the comparison is its user's. Fixed window. */
  "express-rate-limit": (limit) => {
    const store = new MemoryStore();
    store.init({ windowMs: SECONDS * 1_000 } as Options);
    return eachAwaited(async (key) => (await store.increment(key)).totalHits <= limit);
  },
  /** Answers a callback at once. Fixed window; forgets the least recent of more keys than its cache has. */
  "fastify-rate-limit": (limit, maxKeys) => {
    const store = new LocalStore(false, false, maxKeys);
    let isAdmitted = false;
    const answer = (_error: unknown, result: { current: number } | null): void => {
      isAdmitted = (result?.current ?? Number.POSITIVE_INFINITY) <= limit;
    };
    return each((key) => {
      store.incr(key, answer, SECONDS * 1_000, limit);
      return isAdmitted;
    });
  },
  /** Not keyed: one bucket per key in a Map, as its users do. */
  limiter: (limit) => {
    const buckets = new Map<string, TokenBucket>();
    return each((key) => {
      let own = buckets.get(key);
      if (own === undefined) {
        own = new TokenBucket({
          bucketSize: limit,
          tokensPerInterval: limit,
          interval: SECONDS * 1_000,
        });
        // It starts empty.
        own.content = limit;
        buckets.set(key, own);
      }
      return own.tryRemoveTokens(1);
    });
  },
};

/** What nobody who finds callers by text in a Map and reads the time for each decision can be cheaper than. */
const floors: Readonly<Record<string, OpenContender>> = {
  "floor: clock alone": () => each(() => Date.now() > 0),
  "floor: Map alone": () => {
    const counters = new Map<string, { count: number }>();
    return each((key) => {
      const counter = counters.get(key);
      if (counter !== undefined) counter.count++;
      else counters.set(key, { count: 1 });
      return true;
    });
  },
};

export const FLOORS = Object.keys(floors);
export const OURS = Object.keys(ours);
export const PEERS = Object.keys(peers);
export const CONTENDERS = { ...ours, ...peers, ...floors };

function window(limit: number, maxKeys: number): LimitDefinition {
  return { kind: "window", name: "calls", limit, seconds: SECONDS, maxKeys };
}

function bucket(limit: number, maxKeys: number): LimitDefinition {
  return { kind: "bucket", name: "calls", count: limit, seconds: SECONDS, burst: limit, maxKeys };
}

function byKey(definition: LimitDefinition): Contender {
  const limits = createKeyedLimiter({ definitions: [definition] });
  return each((key) => limits.admits(key));
}

function openAlone(limit: number, maxKeys: number): Limiter {
  return createLimiter({ definitions: [window(limit, maxKeys)], random: systemRandom });
}

const CALLS_PER_CHUNK = 16;

function clockPerChunk(): () => number {
  let nowMs = systemClock.monotonicMs();
  let calls = 0;
  return () => {
    if (++calls % CALLS_PER_CHUNK === 0) nowMs = systemClock.monotonicMs();
    return nowMs;
  };
}

function byHandle(limiter: Limiter, readClock: () => number): Contender {
  const interned = new Map<readonly string[], Int32Array>();
  const one = new Int32Array(1);
  const costs = Int32Array.of(1);
  const report = createLimitReport();
  return {
    run(keys, calls) {
      // Once per connection in the gateway, so not part of a decision; the first round pays it.
      let handles = interned.get(keys);
      if (handles === undefined) {
        handles = Int32Array.from(keys, (key) => limiter.intern(0, key));
        interned.set(keys, handles);
      }
      let admitted = 0;
      for (let call = 0; call < calls; call++) {
        one[0] = handles[call % handles.length]!;
        if (limiter.acquire(one, costs, 1, readClock(), report) === OUTCOME.admitted) admitted++;
      }
      return admitted;
    },
  };
}

function each(decide: (key: string) => boolean): Contender {
  return {
    run(keys, calls) {
      let admitted = 0;
      for (let call = 0; call < calls; call++) if (decide(keys[call % keys.length]!)) admitted++;
      return admitted;
    },
  };
}

function eachAwaited(decide: (key: string) => Promise<boolean>): Contender {
  return {
    async run(keys, calls) {
      let admitted = 0;
      for (let call = 0; call < calls; call++) {
        if (await decide(keys[call % keys.length]!)) admitted++;
      }
      return admitted;
    },
  };
}
