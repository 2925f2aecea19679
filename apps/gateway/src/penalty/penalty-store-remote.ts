import type { Clock } from "@tidegate/clock";
import type { PenaltyKey } from "./penalty-key.ts";
import {
  MOST_REASON_CHARACTERS,
  type PenaltyEntry,
  type PenaltyStore,
  type StrikeResult,
} from "./penalty-store.ts";
import { PenaltyTable, type PenaltyMemory } from "./penalty-table.ts";

/** The part of the bus that is used. */
export interface PenaltyBus {
  ask(kind: string, payload: unknown, deadlineMs: number): Promise<unknown>;
}

/** A strike is written to disk, or sent to Redis, before it is answered. */
const ANSWER_DEADLINE_MS = 5_000;

/** The store as a worker has it: the table is read here, everything else is asked of the main thread. */
export class RemotePenalties extends PenaltyTable implements PenaltyStore {
  readonly #bus: PenaltyBus;

  constructor(memory: PenaltyMemory, bus: PenaltyBus, clock: Clock) {
    super(memory, clock);
    this.#bus = bus;
  }

  async strike(key: PenaltyKey, reason: string): Promise<StrikeResult> {
    const question = { key, reason: reason.slice(0, MOST_REASON_CHARACTERS) };
    return (await this.#bus.ask("penalty-strike", question, ANSWER_DEADLINE_MS)) as StrikeResult;
  }

  async lift(key: string): Promise<boolean> {
    return (await this.#bus.ask("penalty-lift", key, ANSWER_DEADLINE_MS)) as boolean;
  }

  async list(limit: number): Promise<readonly PenaltyEntry[]> {
    return (await this.#bus.ask("penalty-list", limit, ANSWER_DEADLINE_MS)) as PenaltyEntry[];
  }
}

/** What the main thread answers its workers; the other side of `RemotePenalties`. */
export function penaltyAnswers(
  store: PenaltyStore,
): Readonly<Record<string, (payload: unknown) => unknown>> {
  return {
    "penalty-strike": (question) => {
      const { key, reason } = question as { key: PenaltyKey; reason: string };
      return store.strike(key, reason);
    },
    "penalty-lift": (key) => store.lift(key as string),
    "penalty-list": (limit) => store.list(limit as number),
  };
}
