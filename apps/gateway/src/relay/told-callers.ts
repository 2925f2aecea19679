import { hash } from "node:crypto";

/** A caller who was told by a close code hears statuses for so long. */
const TOLD_MS = 60_000;

/**
 * Callers remembered at once, some 150 bytes each: so many as a worker may refuse for the first time in a minute before
 * it forgets one too early. When full the oldest is forgotten, who may then learn the code once more within the minute;
 * how many sockets that can cost is bounded elsewhere.
 */
const MAX_CALLERS = 16_384;

/**
 * Who was told by a close code, and when: a page that reconnects in a loop, whatever the code says, is told once. Every
 * worker has its own, because nothing is lost by telling it again: a loop whose connections land on other workers learns
 * the code at most once per worker and minute.
 */
export class ToldCallers {
  /** When each was told, by a hash of who it was; in the order in which they were told. */
  readonly #toldMs = new Map<string, number>();

  /** @param caller on which route, and who */
  has(caller: string, nowMs: number): boolean {
    const toldMs = this.#toldMs.get(keyOf(caller));
    return toldMs !== undefined && nowMs - toldMs < TOLD_MS;
  }

  add(caller: string, nowMs: number): void {
    const key = keyOf(caller);
    this.#toldMs.delete(key);
    for (const [oldest, toldMs] of this.#toldMs) {
      if (nowMs - toldMs < TOLD_MS && this.#toldMs.size < MAX_CALLERS) break;
      this.#toldMs.delete(oldest);
    }
    this.#toldMs.set(key, nowMs);
  }

  get size(): number {
    return this.#toldMs.size;
  }
}

/** Names come from tokens, which may have kilobytes of them. */
const keyOf = (caller: string): string => hash("sha256", caller, "base64url");
