import type { Clock } from "@tidegate/clock";

/**
 * Reports that were taken, by their `jti`, as long as they would still be acceptable. Lost with the process: what a
 * replay could then do is to revoke once more what is revoked.
 */
export class ReportMemory {
  /** Key → wall milliseconds. In the order in which they came, which is nearly that of their ends. */
  readonly #until = new Map<string, number>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @returns false when it was taken before */
  take(key: string, untilMs: number): boolean {
    const nowMs = this.#clock.wallMs();
    const known = this.#until.get(key);
    if (known !== undefined && known > nowMs) return false;
    this.#makeRoom(nowMs);
    this.#until.delete(key);
    this.#until.set(key, untilMs);
    return true;
  }

  forget(key: string): void {
    this.#until.delete(key);
  }

  #makeRoom(nowMs: number): void {
    for (const [key, untilMs] of this.#until) {
      if (untilMs > nowMs && this.#until.size < MAX_REPORTS) return;
      this.#until.delete(key);
    }
  }
}

/** All are signed by who may report. When full the oldest goes: taken again it would revoke what is revoked. */
const MAX_REPORTS = 100_000;
