import { join } from "node:path";
import type { Clock, Random } from "@tidegate/clock";
import {
  attachLimiter,
  beginLockOwner,
  createLimiter,
  createLimiterMemory,
  DEFAULT_RESERVATION_MS,
  endLockOwner,
  type LimitDefinition,
  type Limiter,
  type LimiterMemory,
  type LockOwner,
} from "@tidegate/limits";
import type { Readiness } from "../admin/readiness.ts";
import type { GatewayConfig } from "../config/schema.ts";
import { penaltyBegan, penaltyFailed } from "../record/events.ts";
import { createKeyInField } from "../identify/key-fields.ts";
import type { Log } from "../record/logger.ts";
import { LIVE_KINDS, STRIKE_OUTCOMES, type Metrics } from "../record/metrics.ts";
import type { LiveKind } from "../session/live-session.ts";
import { limitDefinitionsOf } from "../route/compile-routes.ts";
import { DenialCounts, denialDefinitionsOf } from "./denial-counts.ts";
import { CallerNames } from "./caller-names.ts";
import { PenaltyGate } from "./penalty-gate.ts";
import type { PenaltyEntry, PenaltyStore } from "./penalty-store.ts";
import { RedisPenalties } from "./penalty-store-redis.ts";
import { EmbeddedPenalties } from "./penalty-store-embedded.ts";
import { answerPenalties, RemotePenalties } from "./penalty-store-remote.ts";
import type { PenaltyMemory } from "./penalty-table.ts";
import { penaltyTeller } from "./tell-penalties.ts";
import { Strikes, type StrikeOutcome } from "./strikes.ts";
import type { DataThreads, MainThread } from "../worker/data-threads.ts";

/** What a worker needs of the penalties; can be sent to it. */
export interface PenaltyInit {
  readonly memory: PenaltyMemory;
  readonly denials: { readonly memory: LimiterMemory; readonly lockOwner: LockOwner };
}

/** The main thread's side: owns the store, and lets every thread have a gate. */
export interface Penalties extends AsyncDisposable {
  readonly store: PenaltyStore & { readonly boxedCallers: number };
  /** Whether penalties given elsewhere are known here; nothing where there is no elsewhere. */
  readiness(): readonly Readiness[];
  /** For a data plane on this thread. */
  open(metrics: Metrics): ThreadPenalties;
  /** For the next life of a worker. @param worker position from 0 */
  begin(worker: number): PenaltyInit;
  /** The life is over: what its thread still locks comes free. */
  end(init: PenaltyInit): void;
}

/** One thread's side. */
export interface ThreadPenalties {
  /** Refuses who is boxed. */
  readonly gate: PenaltyGate;
  /** Boxes who goes on over limits. */
  readonly strikes: Strikes;
  /** Counts what was ended because its caller was boxed. */
  ended(kind: LiveKind): void;
}

interface Means {
  readonly config: GatewayConfig;
  readonly log: Log;
  readonly clock: Clock;
}

/** Longer than this a gateway does not wait for Redis before it listens; `/readyz` says so then. */
const START_WAIT_MS = 2_000;

/** @returns undefined when the configuration has no penalties @throws {Error} when their file cannot be used */
export async function openPenalties(
  means: Means & { readonly random: Random; readonly dataThreads: DataThreads },
): Promise<Penalties | undefined> {
  const { config, log, clock, random } = means;
  if (config.penalty === undefined) return undefined;
  const { maxCallers, redis } = config.penalty;
  const options = {
    clock,
    random,
    maxPenalties: maxCallers,
    onShown: penaltyTeller(means.dataThreads.tell, clock),
    onPenalty: (entry: PenaltyEntry) => penaltyBegan(log, entry),
    onFailure: (error: Error) => penaltyFailed(log, { error }),
  };
  const shared = redis === undefined ? undefined : new RedisPenalties({ ...options, ...redis });
  await shared?.whenCurrent(START_WAIT_MS);
  const file = join(config.dataFolder, "penalties.sqlite");
  const store = shared ?? new EmbeddedPenalties({ ...options, file });
  const definitions = denialDefinitionsOf(limitDefinitionsOf(config));
  answerPenalties(means.dataThreads, store);
  let memory: LimiterMemory | undefined;
  return {
    store,
    readiness() {
      if (shared === undefined) return [];
      const { isCurrent } = shared;
      const detail = isCurrent
        ? "Penalties of all nodes are known"
        : "Redis does not answer: penalties of other nodes are not known";
      return [{ name: "penalties", isReady: isCurrent, detail }];
    },
    open: (metrics) =>
      openOnThread({ ...means, metrics }, store, () => createLimiter({ definitions, random })),
    begin(worker) {
      memory ??= createLimiterMemory({
        definitions,
        random,
        reservationMs: DEFAULT_RESERVATION_MS,
      });
      const lockOwner = beginLockOwner(memory, worker + 1);
      return { memory: store.memory, denials: { memory, lockOwner } };
    },
    end: ({ denials }) => endLockOwner(denials.memory, denials.lockOwner),
    async [Symbol.asyncDispose]() {
      if (store instanceof RedisPenalties) await store[Symbol.asyncDispose]();
      else store[Symbol.dispose]();
    },
  };
}

/** A worker's side, over what the main thread sent. */
export function joinPenalties(
  means: Means & {
    readonly init: PenaltyInit;
    readonly main: MainThread;
    readonly metrics: Metrics;
  },
): ThreadPenalties {
  const { init, main, clock } = means;
  const store = new RemotePenalties(init.memory, main, clock);
  return openOnThread(means, store, () => attachLimiter(init.denials));
}

function openOnThread(
  { config, log, clock, metrics }: Means & { readonly metrics: Metrics },
  store: PenaltyStore,
  openLimiter: () => Limiter,
): ThreadPenalties {
  const limits: readonly LimitDefinition[] = limitDefinitionsOf(config);
  const denials = new DenialCounts(limits, openLimiter());
  const names = new CallerNames(store);
  const counters = metrics.penaltyCounters();
  const struck = (outcome: StrikeOutcome, error?: unknown): void => {
    counters[STRIKE_OUTCOMES.indexOf(outcome)]! += 1;
    if (outcome === "failed")
      penaltyFailed(log, { error: error instanceof Error ? error : new Error(String(error)) });
  };
  return {
    gate: new PenaltyGate({ store, names, clock }),
    strikes: new Strikes({
      store,
      names,
      denials,
      clock,
      struck,
      keyInField: createKeyInField(config),
    }),
    ended(kind) {
      counters[STRIKE_OUTCOMES.length + LIVE_KINDS.indexOf(kind)]! += 1;
    },
  };
}
