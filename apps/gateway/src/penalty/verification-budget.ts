import type { Clock } from "@tidegate/clock";

/** So many credentials that nobody remembers are checked for one boxed address at once, */
const BURST = 20;
/** and so many per second. An honest neighbour needs one; an attacker who sends nonsense gets no more work than this. */
const PER_SECOND = 10;
/** Addresses that are told apart, by the latest; further ones are new again, with at most `BURST` each. */
const MOST_ADDRESSES = 4_096;

/**
 * How many new credentials of boxed addresses are checked: a signature or a password costs us more than it costs who
 * sends it. Credentials that are remembered pass without it.
 */
export class VerificationBudget {
  readonly #clock: Clock;
  /** What is left, by address; the one that was asked for longest ago leaves first. */
  readonly #left = new Map<string, { tokens: number; atMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @returns whether one more may be checked */
  take(network: string): boolean {
    const nowMs = this.#clock.monotonicMs();
    const entry = this.#left.get(network) ?? { tokens: BURST, atMs: nowMs };
    this.#left.delete(network);
    this.#left.set(network, entry);
    const [oldest] = this.#left.keys();
    if (this.#left.size > MOST_ADDRESSES && oldest !== undefined) this.#left.delete(oldest);
    const refilled = entry.tokens + ((nowMs - entry.atMs) / 1_000) * PER_SECOND;
    entry.tokens = Math.min(BURST, refilled);
    entry.atMs = nowMs;
    if (entry.tokens < 1) return false;
    entry.tokens--;
    return true;
  }
}
