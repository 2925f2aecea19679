import {
  attachReplayMemory,
  createReplayTable,
  type ReplayMemory,
  type ReplayTable,
} from "@tidegate/auth";
import type { Random } from "@tidegate/clock";
import type { DataThreads, MainThread } from "../worker/data-threads.ts";

/** What proofs of possession need that all threads have together: each proof counts once on the machine, not once per worker. */
export interface ProofMemory {
  readonly replays: ReplayMemory;
  /** What nonces are made with; the same on every thread, another one after a restart. */
  readonly nonceSecret: Uint8Array;
}

/** The main thread's side: the memory itself, made when the first worker asks for it. */
export function answerProofMemory(dataThreads: DataThreads, random: Random): void {
  let shared: SharedProofMemory | undefined;
  dataThreads.answer(PROOF_MEMORY, () => {
    shared ??= { table: createReplayTable({ random }), nonceSecret: random.bytes(32) };
    return shared;
  });
}

/** A worker's side. @throws {Error} when the main thread does not answer */
export async function joinProofMemory(main: MainThread): Promise<ProofMemory> {
  const shared = (await main.ask(PROOF_MEMORY, undefined, ANSWER_DEADLINE_MS)) as SharedProofMemory;
  return { replays: attachReplayMemory(shared.table), nonceSecret: shared.nonceSecret };
}

interface SharedProofMemory {
  readonly table: ReplayTable;
  readonly nonceSecret: Uint8Array;
}

const PROOF_MEMORY = "proof-memory";
const ANSWER_DEADLINE_MS = 5_000;
