import type { Clock, Timer } from "./clock.ts";

/** Something that must have happened by a time. */
export interface Deadline {
  /** Monotonic milliseconds; `Infinity` while nothing is waited for. Written by the owner at any time, for free. */
  dueMs: number;
  /** Called once per due time that passed; set `dueMs` again to wait for something else. */
  expire(): void;
}

/**
 * Watches many deadlines with one timer. Moving a deadline is a plain write, so that a stream can do it for
 * every chunk; the price is that an expiry is noticed up to one tick late.
 */
export class Deadlines {
  readonly #clock: Clock;
  readonly #tickMs: number;
  /** Bounded by its users: one entry per running exchange or connection. */
  readonly #entries = new Set<Deadline>();
  #timer: Timer | undefined;

  constructor(clock: Clock, tickMs: number) {
    this.#clock = clock;
    this.#tickMs = tickMs;
  }

  add(deadline: Deadline): void {
    this.#entries.add(deadline);
    this.#timer ??= this.#clock.after(this.#tickMs, this.#tick);
  }

  delete(deadline: Deadline): void {
    this.#entries.delete(deadline);
  }

  #tick = (): void => {
    const nowMs = this.#clock.monotonicMs();
    for (const deadline of this.#entries) {
      if (deadline.dueMs > nowMs) continue;
      deadline.dueMs = Number.POSITIVE_INFINITY;
      deadline.expire();
    }
    this.#timer = this.#entries.size > 0 ? this.#clock.after(this.#tickMs, this.#tick) : undefined;
  };
}
