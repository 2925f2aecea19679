import type { PenaltyKey } from "./penalty-key.ts";
import {
  isBoxed,
  isForgotten,
  strike,
  strikesLeft,
  SUSPENDED,
  type Penalty,
} from "./penalty-rules.ts";
import { MOST_REASON_CHARACTERS, type PenaltyEntry } from "./penalty-store.ts";

/** What became of a key; `penalty` is undefined when it was forgotten. */
export interface PenaltyChange {
  readonly key: string;
  readonly penalty: Penalty | undefined;
}

export type LedgerStrike =
  | {
      readonly outcome: "boxed";
      readonly key: string;
      readonly penalty: Penalty;
      /** In the order in which they must be shown: somebody is boxed before anything of theirs is forgotten. */
      readonly changes: readonly PenaltyChange[];
    }
  | { readonly outcome: "already-boxed" }
  | { readonly outcome: "full" };

/**
 * Everybody who is known, by the text of their key: the truth behind one node's table. Pure memory; times come in.
 *
 * Bounded by `maxPenalties`. Addresses, which anybody has by the million (an IPv6 /48 holds 65,536 networks), may
 * fill half of it and no more, so they cannot push out people, keys and clients. When addresses are full, the
 * network around a new one is boxed instead (an eighth); when that is full too, or proven callers are, a new one is not
 * boxed at all: nobody who is in is let out for it, and limits go on refusing the new one.
 */
export class PenaltyLedger {
  readonly #known = new Map<string, Penalty>();
  readonly #counts: Record<Class, number> = { address: 0, network: 0, proven: 0 };
  readonly #most: Readonly<Record<Class, number>>;

  constructor(maxPenalties: number) {
    const [address, network, proven] = PenaltyLedger.shares(maxPenalties);
    this.#most = { address, network, proven };
  }

  /** How many addresses, networks, and proven callers may be known. */
  static shares(maxPenalties: number): readonly [address: number, network: number, proven: number] {
    const network = Math.floor(maxPenalties / 8);
    const address = Math.floor(maxPenalties / 2);
    return [address, network, maxPenalties - network - address];
  }

  get size(): number {
    return this.#known.size;
  }

  entries(): IterableIterator<readonly [key: string, penalty: Penalty]> {
    return this.#known.entries();
  }

  get(key: string): Penalty | undefined {
    return this.#known.get(key);
  }

  /** Takes over what was written down, bound or not: nobody is let out because a number in the configuration fell. */
  restore(key: string, penalty: Penalty): void {
    this.#set(key, penalty);
  }

  strike(
    { kind, narrow, wide }: PenaltyKey,
    { reason, nowMs, wallMs }: { reason: string; nowMs: number; wallMs: number },
  ): LedgerStrike {
    const known = { narrow: this.#known.get(narrow), wide: this.#known.get(wide) };
    const isNarrowFull = kind === "address" && !this.#hasRoomFor(narrow, kind);
    const result = strike(known, {
      kind,
      reason: reason.slice(0, MOST_REASON_CHARACTERS),
      nowMs,
      wallMs,
      isNarrowFull,
    });
    if (result.outcome === "already-boxed") return result;
    const key = result.place === "wide" ? wide : narrow;
    const { penalty } = result;
    // Who moves to the wide key leaves a place.
    const hasLeft = result.place === "wide" && known.narrow !== undefined;
    if (!hasLeft && !this.#hasRoomFor(key, kind)) return { outcome: "full" };
    const changes: PenaltyChange[] = [{ key, penalty }];
    this.#set(key, penalty);
    if (hasLeft) {
      this.#delete(narrow);
      changes.push({ key: narrow, penalty: undefined });
    }
    return { outcome: "boxed", key, penalty, changes };
  }

  /** @returns whether it was known */
  lift(key: string): boolean {
    return this.#delete(key);
  }

  /** Whether a penalty for this caller would find no place of its own, so that sweeping is worth while. */
  isFullFor({ kind, narrow }: PenaltyKey): boolean {
    return !this.#hasRoomFor(narrow, kind);
  }

  /** Forgets all that means nothing any more. @returns their keys */
  sweep(nowMs: number, wallMs: number): string[] {
    const forgotten: string[] = [];
    for (const [key, penalty] of this.#known)
      if (isForgotten(penalty, nowMs, wallMs)) forgotten.push(key);
    for (const key of forgotten) this.#delete(key);
    return forgotten;
  }

  /** How many are boxed; looks at all. */
  boxedAt(nowMs: number): number {
    let count = 0;
    for (const penalty of this.#known.values()) if (isBoxed(penalty, nowMs)) count++;
    return count;
  }

  /** Those boxed last first. */
  list(nowMs: number, limit: number): PenaltyEntry[] {
    return [...this.#known]
      .toSorted(([, a], [, b]) => b.startedMs - a.startedMs)
      .slice(0, limit)
      .map(([key, penalty]) => toEntry(key, penalty, nowMs));
  }

  #hasRoomFor(key: string, kind: Penalty["kind"]): boolean {
    const of = classOf(key, kind);
    return this.#known.has(key) || this.#counts[of] < this.#most[of];
  }

  #set(key: string, penalty: Penalty): void {
    if (!this.#known.has(key)) this.#counts[classOf(key, penalty.kind)]++;
    this.#known.set(key, penalty);
  }

  #delete(key: string): boolean {
    const penalty = this.#known.get(key);
    if (penalty === undefined) return false;
    this.#counts[classOf(key, penalty.kind)]--;
    return this.#known.delete(key);
  }
}

type Class = "address" | "network" | "proven";

function classOf(key: string, kind: Penalty["kind"]): Class {
  if (kind !== "address") return "proven";
  return key.startsWith('["network"') ? "network" : "address";
}

/** @param nowMs the store's own time, which is wall time unless the wall clock stepped */
export function toEntry(key: string, penalty: Penalty, nowMs: number): PenaltyEntry {
  const { kind, reason, startedMs, untilMs } = penalty;
  return {
    key,
    kind,
    strikes: strikesLeft(penalty, nowMs),
    reason,
    startedMs,
    ...(untilMs === SUSPENDED ? {} : { untilMs }),
    isBoxed: isBoxed(penalty, nowMs),
  };
}
