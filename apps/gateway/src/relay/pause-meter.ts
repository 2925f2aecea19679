/** Who is made to wait so much of the time sends without listening to it. */
const SPAN_MS = 10_000;
const MOST_PAUSED_MS = 8_000;
/** One per sweep of the live sockets (250 ms) and some more; when sweeps come faster, the span is only shorter. */
const SAMPLES = 64;

/** How much of the last ten seconds reading was paused. Made when a socket is delayed for the first time. */
export class PauseMeter {
  /** When a sample was taken, and how long reading had been paused by then in all; a ring. */
  readonly #times = new Float64Array(SAMPLES);
  readonly #totals = new Float64Array(SAMPLES);
  #first = 0;
  #count = 0;

  /**
   * @param totalMs how long reading has been paused since the socket began, the pause that runs included
   * @returns whether it was paused for 8 of the last 10 s; then it begins anew
   */
  isTooMuch(nowMs: number, totalMs: number): boolean {
    if (this.#count === SAMPLES) this.#drop();
    // The oldest sample that is kept is the youngest one at the span's begin or before it.
    while (this.#count > 1 && nowMs - this.#times[(this.#first + 1) % SAMPLES]! >= SPAN_MS)
      this.#drop();
    const at = (this.#first + this.#count) % SAMPLES;
    this.#times[at] = nowMs;
    this.#totals[at] = totalMs;
    this.#count++;
    const beforeSpanMs = Math.max(0, nowMs - this.#times[this.#first]! - SPAN_MS);
    const pausedMs = totalMs - this.#totals[this.#first]! - beforeSpanMs;
    if (pausedMs < MOST_PAUSED_MS) return false;
    this.#count = 0;
    return true;
  }

  #drop(): void {
    this.#first = (this.#first + 1) % SAMPLES;
    this.#count--;
  }
}
