/**
 * Time as a value that is passed in, so that logic can be tested without sleeping.
 * Nothing but the adapters in this folder reads the machine's clock.
 */
export interface Clock {
  /** Milliseconds since an arbitrary origin; never goes back; the origin is shared by all threads of the process. */
  monotonicMs(): number;
  /** Milliseconds since the Unix epoch; may step either way. Only for what is written down or compared with others' clocks. */
  wallMs(): number;
  /**
   * Runs `task` once, not earlier than `delayMs` from now. Delays beyond 2^31-1 ms are honoured
   * (the platform's own timer would fire at once). A pending timer does not keep the process alive.
   */
  after(delayMs: number, task: () => void): Timer;
}

export interface Timer {
  /** Forgets the task. Safe to call again, and after the task has run. */
  cancel(): void;
}
