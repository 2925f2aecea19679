import type { Clock, Timer } from "./clock.ts";

/** The machine's own time. */
export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  after: (delayMs, task) => new SystemTimer(delayMs, task),
};

// The platform stores a delay in 31 bits; a longer one fires after 1 ms.
const LONGEST_DELAY_MS = 2 ** 31 - 1;

class SystemTimer implements Timer {
  #handle: NodeJS.Timeout | undefined;

  constructor(delayMs: number, task: () => void) {
    this.#arm(Math.max(0, Math.ceil(delayMs)), task);
  }

  cancel(): void {
    clearTimeout(this.#handle);
    this.#handle = undefined;
  }

  #arm(leftMs: number, task: () => void): void {
    this.#handle =
      leftMs <= LONGEST_DELAY_MS
        ? setTimeout(task, leftMs)
        : setTimeout(() => this.#arm(leftMs - LONGEST_DELAY_MS, task), LONGEST_DELAY_MS);
    this.#handle.unref();
  }
}
