import type { Limiter } from "./limiter.ts";
import { NO_HANDLE } from "./limiter.ts";

/**
 * Keys kept per generation. Two generations of it are some megabytes of texts at most, and turning one over releases this many
 * handles at once: about a millisecond.
 */
const KEPT = 16_384;

/**
 * Handles of the keys seen lately under one limit, so that a key which comes again is not hashed again: the engine's text
 * already carries a hash of its own. When a generation is full, the one before it is let go;
 * a key used in between moves to the young one. Forgetting a handle forgets nothing that was spent.
 */
export class RecentHandles {
  readonly #limiter: Limiter;
  readonly #limitIndex: number;
  #young = new Map<string, number>();
  #old = new Map<string, number>();

  constructor(limiter: Limiter, limitIndex: number) {
    this.#limiter = limiter;
    this.#limitIndex = limitIndex;
  }

  /** Good until the next call of `handleOf`; not to be released by the caller. */
  handleOf(key: string): number {
    return this.#young.get(key) ?? this.#remember(key);
  }

  #remember(key: string): number {
    let handle = this.#old.get(key);
    if (handle === undefined) {
      handle = this.#limiter.intern(this.#limitIndex, key);
      if (handle === NO_HANDLE) return NO_HANDLE;
    } else {
      this.#old.delete(key);
    }
    if (this.#young.size >= KEPT) this.#turnOver();
    this.#young.set(key, handle);
    return handle;
  }

  #turnOver(): void {
    for (const handle of this.#old.values()) this.#limiter.release(handle);
    this.#old = this.#young;
    this.#young = new Map();
  }
}
