import type { PenaltyKey, PenaltyKind } from "./penalty-key.ts";

/**
 * Who sits in the penalty box. Implementations: shared memory + SQLite (`penalty-store-embedded.ts`), the same asked from
 * a worker (`penalty-store-remote.ts`), Redis (`penalty-store-redis.ts`). All pass `penalty-store.contract.ts`.
 */
export interface PenaltyStore {
  /**
   * Rises with every penalty and every lift, over all threads. Who began something under an older epoch asks
   * `isBoxed` again before it counts.
   */
  readonly epoch: number;
  /** Whether nobody at all is known here, which needs no name to be looked up. */
  readonly isEmpty: boolean;

  /** Names a caller once; the name is good for ever and in every thread that shares the store. Hashes. */
  name(key: PenaltyKey): PenaltyName;

  /** Whether the caller is refused now. Synchronous, allocates nothing: it is asked for every call. */
  isBoxed(name: PenaltyName): boolean;

  /** What to tell the caller, and whoever decides about sign-in. Fills `view` and allocates nothing. */
  look(name: PenaltyName, view: PenaltyView): void;

  /**
   * Puts the caller into the box: the one place where a penalty begins. Durable, and seen by every thread of this node,
   * before the promise resolves; by other nodes within a second. A caller who is boxed already is left alone.
   * @param reason what was overrun: the name of a limit, at most 100 characters are kept
   * @throws {Error} when it could not be made durable; the caller is boxed on this node all the same
   */
  strike(key: PenaltyKey, reason: string): Promise<StrikeResult>;

  /**
   * Forgives: box, strikes, and the duty to sign in again.
   * @param key as `list` shows it
   * @returns whether there was something to forgive
   */
  lift(key: string): Promise<boolean>;

  /** Everybody who is known, those boxed last first. @param limit at most so many; the answer is small enough to be sent */
  list(limit: number): Promise<readonly PenaltyEntry[]>;
}

/** A caller's two keys, hashed. Opaque; made by `PenaltyStore.name`. */
export interface PenaltyName {
  readonly narrow0: number;
  readonly narrow1: number;
  /** 0 and 0 when there is nothing wider. */
  readonly wide0: number;
  readonly wide1: number;
}

/** Reusable; filled by `look`. */
export interface PenaltyView {
  isBoxed: boolean;
  /** Of the key that boxes, or that has more; 0 when nothing is known. Not lowered by decay before the next strike. */
  strikes: number;
  /** Until the box opens; 0 when it is open, `Infinity` when only an operator opens it. */
  retryAfterMs: number;
  /**
   * P of a person's latest penalty, milliseconds since the epoch, whole seconds: who signed in at that second or earlier
   * must do so again, boxed or not. 0 when there is no such duty.
   */
  reauthenticateAfterMs: number;
  /** Rises with each penalty of the caller: who counts something since the last one compares it. 0: never boxed. */
  generation: number;
}

export function createPenaltyView(): PenaltyView {
  return { isBoxed: false, strikes: 0, retryAfterMs: 0, reauthenticateAfterMs: 0, generation: 0 };
}

export type StrikeResult =
  | { readonly outcome: "boxed"; readonly entry: PenaltyEntry }
  /** A penalty is never made longer than it was said to be. */
  | { readonly outcome: "already-boxed" }
  /** There is no room for another one, and those who are in are not let out for it. */
  | { readonly outcome: "full" };

/** What an operator sees. Times are milliseconds since the epoch. */
export interface PenaltyEntry {
  /** What `lift` takes. */
  readonly key: string;
  readonly kind: PenaltyKind;
  readonly strikes: number;
  readonly reason: string;
  readonly startedMs: number;
  /** When the box opens or opened; absent when only an operator opens it. */
  readonly untilMs?: number;
  readonly isBoxed: boolean;
}

/** So many keys at most, in memory and on disk; when they are all in use, see `PenaltyLedger`. */
export const DEFAULT_MAX_PENALTIES = 65_536;
/** The longest answer of `list`. */
export const MOST_LISTED = 10_000;
export const MOST_REASON_CHARACTERS = 100;
