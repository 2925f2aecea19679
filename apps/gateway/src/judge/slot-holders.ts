import type { Clock, Timer } from "@tidegate/clock";
import type { Reservation } from "@tidegate/limits";
import type { CallLimiter } from "./call-limiter.ts";

/** A third of the time after which the engine gives a silent holder up for lost. */
const RENEW_MS = 20_000;

/**
 * Who holds slots of concurrency limits on this thread: requests whose answer runs, and sockets. Their slots come
 * free when they end; those of a thread that died come free because nobody says any more that they live.
 */
export class SlotHolders {
  readonly #limiter: CallLimiter;
  readonly #clock: Clock;
  /** Bounded by the requests in flight and the sockets of this thread. */
  readonly #held = new Set<Reservation>();
  #timer: Timer | undefined;

  constructor(limiter: CallLimiter, clock: Clock) {
    this.#limiter = limiter;
    this.#clock = clock;
  }

  /** @param booking settled: what else it spent is spent, its slots are held until `finish` */
  hold(booking: Reservation): void {
    this.#held.add(booking);
    this.#timer ??= this.#clock.after(RENEW_MS, this.#renew);
  }

  finish(booking: Reservation): void {
    this.#held.delete(booking);
    this.#limiter.finish(booking, Math.floor(this.#clock.monotonicMs()));
  }

  #renew = (): void => {
    const nowMs = Math.floor(this.#clock.monotonicMs());
    for (const booking of this.#held) this.#limiter.renew(booking, nowMs);
    this.#timer = this.#held.size > 0 ? this.#clock.after(RENEW_MS, this.#renew) : undefined;
  };
}
