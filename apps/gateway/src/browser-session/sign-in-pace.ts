import type { Clock } from "@tidegate/clock";

/**
 * Slows down who begins or completes many sign-ins: each may cost a question to the provider. By address, for the whole
 * machine, and never more than slowed: an address may be many people's.
 */
export class SignInPace {
  readonly #clock: Clock;
  /** By network, oldest first; bounded by `MOST_NETWORKS`. Who leaves it begins with a full allowance. */
  readonly #spent = new Map<string, { untilMs: number }>();
  #waiting = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves when it is the caller's turn. @returns false when too many wait already */
  async turn(network: string): Promise<boolean> {
    const nowMs = this.#clock.monotonicMs();
    // What was spent, as the time at which all of it will have come back (the generic cell rate algorithm).
    const spent = this.#spent.get(network);
    const untilMs = Math.max(spent?.untilMs ?? 0, nowMs) + COST_MS;
    this.#spent.delete(network);
    this.#spent.set(network, { untilMs: Math.min(untilMs, nowMs + MOST_SPENT_MS) });
    const [oldest] = this.#spent.keys();
    if (this.#spent.size > MOST_NETWORKS && oldest !== undefined) this.#spent.delete(oldest);
    const waitMs = Math.min(untilMs - nowMs - FREE_MS, LONGEST_WAIT_MS);
    if (waitMs <= 0) return true;
    if (this.#waiting >= MOST_WAITING) return false;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting++;
    this.#clock.after(waitMs, resolve);
    await promise;
    this.#waiting--;
    return true;
  }
}

/** One in half a second, 60 at once. */
const COST_MS = 500;
const FREE_MS = 60 * COST_MS;
const LONGEST_WAIT_MS = 5_000;
/** What is spent beyond it is forgiven, so that an attack is over when it is over. */
const MOST_SPENT_MS = FREE_MS + 2 * LONGEST_WAIT_MS;
const MOST_NETWORKS = 10_000;
const MOST_WAITING = 500;
