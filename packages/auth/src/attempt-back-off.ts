import type { Clock } from "@tidegate/clock";

/**
 * Slows down guessing, per pair of network and user. Never per user alone: then anybody could lock out anybody by
 * guessing badly in their name. Every attempt is counted before its hash and taken back when it succeeds, so that a
 * thousand guesses at once are not a thousand free ones.
 */
export interface AttemptBackOff {
  /** How long this pair must wait before the next attempt; 0 when it may try now. */
  waitMs(key: string): number;
  /** Counts an attempt. */
  charge(key: string): void;
  /** The attempt came to nothing, neither good nor wrong: it does not count. */
  refund(key: string): void;
  /** The attempt was good: the pair starts afresh. */
  clear(key: string): void;
  readonly size: number;
}

export function createAttemptBackOff(clock: Clock): AttemptBackOff {
  // Oldest attempt first. When full, that one is forgotten: filling the table takes MAX_PAIRS hashes, which the
  // hashing pool stretches over far more than the longest wait.
  const pairs = new Map<string, Attempts>();

  /** Failures left after what time has forgiven. */
  const failuresOf = ({ failures, lastMs }: Attempts): number =>
    Math.max(0, failures - Math.floor((clock.monotonicMs() - lastMs) / FORGIVE_ONE_MS));

  const waitMs = (key: string): number => {
    const attempts = pairs.get(key);
    if (attempts === undefined) return 0;
    return Math.max(0, Math.ceil(attempts.blockedUntilMs - clock.monotonicMs()));
  };

  const write = (key: string, failures: number): void => {
    const nowMs = clock.monotonicMs();
    pairs.delete(key);
    const excess = failures - FREE_FAILURES;
    const blockedMs =
      excess < 0 ? 0 : Math.min(MAX_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(excess, 20));
    pairs.set(key, { failures, lastMs: nowMs, blockedUntilMs: nowMs + blockedMs });
    if (pairs.size > MAX_PAIRS) {
      for (const oldest of pairs.keys()) {
        pairs.delete(oldest);
        break;
      }
    }
  };

  return {
    waitMs,
    charge(key) {
      const attempts = pairs.get(key);
      write(key, (attempts === undefined ? 0 : failuresOf(attempts)) + 1);
    },
    refund(key) {
      const attempts = pairs.get(key);
      if (attempts !== undefined) write(key, Math.max(0, attempts.failures - 1));
    },
    clear: (key) => void pairs.delete(key),
    get size() {
      return pairs.size;
    },
  };
}

interface Attempts {
  readonly failures: number;
  readonly lastMs: number;
  readonly blockedUntilMs: number;
}

/** Wrong attempts without a wait: people mistype. */
const FREE_FAILURES = 3;
/** After the third: 1 s, then 2, 4 … */
const FIRST_WAIT_MS = 1_000;
/** … up to five minutes: twelve guesses an hour. */
const MAX_WAIT_MS = 300_000;
const FORGIVE_ONE_MS = 600_000;
const MAX_PAIRS = 10_000;
