import type { Clock, Timer } from "@tidegate/clock";
import type { EmbeddedLimiter } from "../embedded-limiter.ts";
import { DEFAULT_EXPIRE_SECONDS, type LimitDefinition } from "../limit-definition.ts";
import type { Reservation } from "../limiter.ts";

/**
 * Slots of concurrency limits that calls hold now. While there are any, a timer tells the engine that their holders
 * live: a connection may stay longer than `expireSeconds`, and this process knows when it ends.
 */
export class HeldSlots {
  readonly #limiter: EmbeddedLimiter;
  readonly #clock: Clock;
  readonly #everyMs: number;
  /** Bounded by the limits themselves: each one here holds a slot. */
  readonly #held = new Set<Reservation>();
  #timer: Timer | undefined;

  constructor(limiter: EmbeddedLimiter, limits: readonly LimitDefinition[], clock: Clock) {
    this.#limiter = limiter;
    this.#clock = clock;
    const shortest = Math.min(
      ...limits.map((limit) =>
        limit.kind === "concurrency" ? (limit.expireSeconds ?? DEFAULT_EXPIRE_SECONDS) : Infinity,
      ),
    );
    // Three times before a holder would count as lost, so that two late timers do no harm.
    this.#everyMs = Math.max(1, Math.floor((shortest * 1_000) / 3));
  }

  /** Keeps the slots of `reservation` until `finish`. */
  hold(reservation: Reservation): void {
    this.#held.add(reservation);
    this.#timer ??= this.#clock.after(this.#everyMs, this.#renewAll);
  }

  finish(reservation: Reservation): void {
    if (!this.#held.delete(reservation)) return;
    this.#limiter.finish(reservation, this.#clock.monotonicMs());
    if (this.#held.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  readonly #renewAll = (): void => {
    const nowMs = this.#clock.monotonicMs();
    // A slot given up for lost, after this process slept, is not taken again: the connection goes on without one.
    for (const reservation of this.#held) this.#limiter.renew(reservation, nowMs);
    this.#timer = this.#clock.after(this.#everyMs, this.#renewAll);
  };
}
