import type { Clock } from "@tidegate/clock";
import type { PenaltyKey } from "./penalty-key.ts";
import {
  MOST_REASON_CHARACTERS,
  type PenaltyEntry,
  type PenaltyStore,
  type StrikeResult,
} from "./penalty-store.ts";
import type { DataThreads, MainThread } from "../worker/data-threads.ts";
import { PenaltyTable, type PenaltyMemory } from "./penalty-table.ts";

/** A strike is written to disk, or sent to Redis, before it is answered. */
const ANSWER_DEADLINE_MS = 5_000;

/** The store as a worker has it: the table is read here, everything else is asked of the main thread. */
export class RemotePenalties extends PenaltyTable implements PenaltyStore {
  readonly #main: Pick<MainThread, "ask">;

  constructor(memory: PenaltyMemory, main: Pick<MainThread, "ask">, clock: Clock) {
    super(memory, clock);
    this.#main = main;
  }

  async strike(key: PenaltyKey, reason: string): Promise<StrikeResult> {
    const question = { key, reason: reason.slice(0, MOST_REASON_CHARACTERS) };
    return (await this.#main.ask("penalty-strike", question, ANSWER_DEADLINE_MS)) as StrikeResult;
  }

  async lift(key: string): Promise<boolean> {
    return (await this.#main.ask("penalty-lift", key, ANSWER_DEADLINE_MS)) as boolean;
  }

  async list(limit: number): Promise<readonly PenaltyEntry[]> {
    return (await this.#main.ask("penalty-list", limit, ANSWER_DEADLINE_MS)) as PenaltyEntry[];
  }
}

/** The other side of `RemotePenalties`. */
export function answerPenalties(
  dataThreads: Pick<DataThreads, "answer">,
  store: PenaltyStore,
): void {
  dataThreads.answer("penalty-strike", (question) => {
    const { key, reason } = question as { key: PenaltyKey; reason: string };
    return store.strike(key, reason);
  });
  dataThreads.answer("penalty-lift", (key) => store.lift(key as string));
  dataThreads.answer("penalty-list", (limit) => store.list(limit as number));
}
