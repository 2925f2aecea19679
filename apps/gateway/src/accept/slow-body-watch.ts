import type { Clock, Timer } from "@tidegate/clock";
import type { Http1Body } from "./http1-body.ts";

/** How long an upload may be slow before its rate counts. */
const GRACE_MS = 5_000;
const TICK_MS = 1_000;

interface Watched {
  readonly body: Http1Body;
  readonly minBytesPerSecond: number;
  readonly tooSlow: () => void;
  readingSinceMs: number;
  pausedMs: number;
}

/**
 * Ends uploads that trickle in (slow POST attack). Time during which we ourselves stopped reading does not
 * count. One timer for all bodies; its set is bounded by the requests in flight.
 */
export class SlowBodyWatch {
  readonly #clock: Clock;
  readonly #watched = new Set<Watched>();
  #timer: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param minBytesPerSecond 0 watches nothing @returns stops the watch */
  watch(body: Http1Body, minBytesPerSecond: number, tooSlow: () => void): void {
    if (minBytesPerSecond === 0 || body.isDone) return;
    const readingSinceMs = this.#clock.monotonicMs();
    this.#watched.add({ body, minBytesPerSecond, tooSlow, readingSinceMs, pausedMs: 0 });
    this.#timer ??= this.#clock.after(TICK_MS, this.#tick);
  }

  #tick = (): void => {
    const nowMs = this.#clock.monotonicMs();
    for (const entry of this.#watched) {
      if (entry.body.isDone) {
        this.#watched.delete(entry);
        continue;
      }
      if (entry.body.isPaused) entry.pausedMs += TICK_MS;
      const readingMs = nowMs - entry.readingSinceMs - entry.pausedMs;
      if (readingMs < GRACE_MS) continue;
      if (entry.body.receivedBytes * 1_000 >= entry.minBytesPerSecond * readingMs) continue;
      this.#watched.delete(entry);
      entry.tooSlow();
    }
    this.#timer = this.#watched.size > 0 ? this.#clock.after(TICK_MS, this.#tick) : undefined;
  };
}
