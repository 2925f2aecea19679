/**
 * Keeps calls away from a store that does not answer, and lets one probe through now and then.
 * Closed: all pass. Open: none, until `probeAtMs`. Then half-open: whoever owns the probe asks once, and the answer closes or opens it again.
 */
export class Breaker {
  readonly #jitter: () => number;
  #failures = 0;
  #isOpen = false;
  #openForMs = FIRST_OPEN_MS;
  #probeAtMs = 0;

  /** @param jitter a number in [0, 1) */
  constructor(jitter: () => number) {
    this.#jitter = jitter;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Whether it is time for the one probe. */
  mayProbe(nowMs: number): boolean {
    return this.#isOpen && nowMs >= this.#probeAtMs;
  }

  succeed(): void {
    this.#failures = 0;
    this.#isOpen = false;
    this.#openForMs = FIRST_OPEN_MS;
  }

  /** @returns whether this failure opened it, or kept it open */
  fail(nowMs: number): boolean {
    this.#failures++;
    if (!this.#isOpen && this.#failures < FAILURES_TO_OPEN) return false;
    this.trip(nowMs);
    return true;
  }

  /** Opens at once: the connection itself is gone. */
  trip(nowMs: number): void {
    this.#isOpen = true;
    this.#probeAtMs = nowMs + this.#openForMs * (0.5 + this.#jitter() / 2);
    this.#openForMs = Math.min(LONGEST_OPEN_MS, 2 * this.#openForMs);
  }
}

/** Five: a single stall of the network is no loss, and five waits of 50 ms are soon over. */
const FAILURES_TO_OPEN = 5;
const FIRST_OPEN_MS = 100;
const LONGEST_OPEN_MS = 1_000;
