import type { Clock, Random } from "@tidegate/clock";

/**
 * Stops asking who does not answer: after some failures in a row nobody asks for a while, then one does; it decides whether
 * all do again. Callers meanwhile cost nothing, and the other side can get up.
 */
export interface CallBreaker {
  /** How long nobody may ask; 0 when the caller may. Whoever gets 0 must say how it went. */
  waitMs(): number;
  succeeded(): void;
  failed(): void;
  readonly isOpen: boolean;
}

export function createCallBreaker({
  clock,
  random,
}: {
  readonly clock: Clock;
  readonly random: Random;
}): CallBreaker {
  let failures = 0;
  let closedAgainAtMs = Number.NEGATIVE_INFINITY;
  let isProbing = false;

  return {
    waitMs() {
      if (failures < FAILURES_TO_OPEN) return 0;
      const leftMs = closedAgainAtMs - clock.monotonicMs();
      if (leftMs > 0) return Math.ceil(leftMs);
      if (isProbing) return SHORTEST_WAIT_MS;
      isProbing = true;
      return 0;
    },
    succeeded() {
      failures = 0;
      isProbing = false;
    },
    failed() {
      failures++;
      isProbing = false;
      if (failures < FAILURES_TO_OPEN) return;
      const exponent = Math.min(failures - FAILURES_TO_OPEN, 10);
      const pauseMs = Math.min(LONGEST_PAUSE_MS, SHORTEST_WAIT_MS * 2 ** exponent);
      // 90 to 110 %: gateways that lost the same provider do not come back in one moment.
      closedAgainAtMs = clock.monotonicMs() + pauseMs * (0.9 + 0.2 * random.unit());
    },
    get isOpen() {
      return failures >= FAILURES_TO_OPEN;
    },
  };
}

/** One lost connection is no outage; five answers missing in a row are. */
const FAILURES_TO_OPEN = 5;
const SHORTEST_WAIT_MS = 1_000;
/** Soon back when the provider is. */
const LONGEST_PAUSE_MS = 30_000;
