import type { Clock } from "@tidegate/clock";
import { periodAt } from "./calendar-period.ts";
import type { QuotaDefinition } from "./limit-definition.ts";
import { TICKS_PER_MS } from "./ticks.ts";

/** The wall clock is read again at least this often, so a step of it is noticed within a second. */
const TRUSTED_MS = 1_000;

const MS_PER_MINUTE = 60_000;

/**
 * Which calendar period a call falls into. The wall clock decides; between two looks at it, a second at most, it is
 * taken to advance with the monotonic one.
 *
 * Against steps: the latest period any thread ever entered is kept in shared memory, and no earlier one is entered
 * again. So a step forward grants the budget of a later period early and once; after a step back callers stay in
 * that later period until it is over, and what they spent in it stays spent.
 *
 * A period is named by the minute in which it starts, counted from the Unix epoch: 32 bits reach to the year 6053.
 */
export class QuotaCalendar {
  readonly #definition: QuotaDefinition;
  readonly #clock: Clock;
  readonly #i32: Int32Array;
  readonly #latestAt: number;
  #period = 0;
  #fromTicks = 0;
  #untilTicks = 0;

  /** @param latestAt 32-bit element of the latest period entered */
  constructor(definition: QuotaDefinition, clock: Clock, i32: Int32Array, latestAt: number) {
    this.#definition = definition;
    this.#clock = clock;
    this.#i32 = i32;
    this.#latestAt = latestAt;
  }

  /** The period of tick `ticks[at]`. Allocates once a second, when the wall clock is read. */
  periodOf(ticks: Float64Array, at: number): number {
    const now = ticks[at]!;
    if (now < this.#fromTicks || now >= this.#untilTicks) this.#look(now);
    // Another thread may have entered a later one since.
    const latest = this.#i32[this.#latestAt]!;
    return latest > this.#period ? latest : this.#period;
  }

  /** Ticks from `ticks[at]` to the end of the period that calls are decided in. */
  ticksToEnd(ticks: Float64Array, at: number): number {
    const period = this.periodOf(ticks, at);
    const { endMs } = this.#spanOf(period * MS_PER_MINUTE);
    return Math.max(1, endMs - this.#wallMsAt(ticks[at]!)) * TICKS_PER_MS;
  }

  #look(now: number): void {
    const wallMs = this.#wallMsAt(now);
    const { startMs, endMs } = this.#spanOf(wallMs);
    this.#period = Math.floor(startMs / MS_PER_MINUTE);
    const trustedMs = Math.max(1, Math.min(TRUSTED_MS, endMs - wallMs));
    // Times somewhat earlier come with calls that read the clock before; the later period serves them too.
    this.#fromTicks = now - TRUSTED_MS * TICKS_PER_MS;
    this.#untilTicks = now + Math.floor(trustedMs * TICKS_PER_MS);
    this.#enter(this.#period);
  }

  #enter(period: number): void {
    let latest = Atomics.load(this.#i32, this.#latestAt);
    while (latest < period) {
      latest = Atomics.compareExchange(this.#i32, this.#latestAt, latest, period);
    }
  }

  #wallMsAt(now: number): number {
    return now / TICKS_PER_MS + this.#clock.wallMs() - this.#clock.monotonicMs();
  }

  #spanOf(wallMs: number) {
    return periodAt(wallMs, this.#definition.period, this.#definition.timeZone ?? "UTC");
  }
}
