import { createHmac, timingSafeEqual } from "node:crypto";
import type { Clock } from "@tidegate/clock";

/** Nonces for DPoP proofs (RFC 9449 §8): made from the time, so that all threads know them and none is stored. */
export interface ProofNonces {
  /** What a proof must carry now. */
  readonly current: string;
  /** Whether it was current within the last minutes. */
  isGood(nonce: unknown): boolean;
}

/** @param secret the same for all threads; 32 random bytes */
export function createProofNonces({
  secret,
  clock,
}: {
  readonly secret: Uint8Array;
  readonly clock: Clock;
}): ProofNonces {
  const nonceOf = (period: number): string =>
    createHmac("sha256", secret).update(`dpop-nonce ${period}`).digest("base64url");
  const period = (): number => Math.floor(clock.monotonicMs() / PERIOD_MS);
  return {
    get current() {
      return nonceOf(period());
    },
    isGood(nonce) {
      if (typeof nonce !== "string") return false;
      const given = Buffer.from(nonce);
      const now = period();
      return [nonceOf(now), nonceOf(now - 1)].some((good) => {
        const expected = Buffer.from(good);
        return given.length === expected.length && timingSafeEqual(given, expected);
      });
    },
  };
}

/** A nonce counts in its own period and the next: two to four minutes. */
const PERIOD_MS = 120_000;
