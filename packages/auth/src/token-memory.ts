import { hash } from "node:crypto";
import type { Clock } from "@tidegate/clock";
import { createBoundedMemory } from "./bounded-memory.ts";
import type { Accepted } from "./verification.ts";
import type { VerificationKey } from "./verification-key.ts";

/**
 * What stands for a token in memories. A digest: less than a microsecond more than the text itself would cost, and no
 * dump of our memory shows a token that works.
 */
export const tokenFingerprint = (token: string): string => hash("sha256", token, "base64url");

/**
 * Remembers the tokens that one verifier accepted, so that a signature costs once per token and not once per call.
 * Positives only: a refusal may be right now and wrong a moment later. An entry ends at the token's `exp`, or as
 * soon as its key leaves the issuer's set or that set grows too old. It holds claims only: revocation, penalty,
 * scope and level are judged on every call.
 */
export interface TokenMemory {
  recall(fingerprint: string): Accepted | undefined;
  /** @param tokenLength length of the token's text, for the bound in bytes */
  remember(accepted: Accepted, key: VerificationKey, tokenLength: number): void;
  readonly size: number;
}

export function createTokenMemory(clock: Clock): TokenMemory {
  const memory = createBoundedMemory<Remembered>({
    maxEntries: MAX_TOKENS,
    maxBytes: MAX_BYTES,
  });
  return {
    recall(fingerprint) {
      const entry = memory.get(fingerprint);
      if (entry === undefined) return undefined;
      if (
        clock.wallMs() < entry.accepted.principal.expiresAtMs &&
        clock.monotonicMs() < entry.key.trustedUntilMs
      ) {
        return entry.accepted;
      }
      memory.delete(fingerprint);
      return undefined;
    },
    remember(accepted, key, tokenLength) {
      memory.set(accepted.fingerprint, { accepted, key }, tokenLength + ENTRY_OVERHEAD_BYTES);
    },
    get size() {
      return memory.size;
    },
  };
}

interface Remembered {
  readonly accepted: Accepted;
  readonly key: VerificationKey;
}

/** Callers active within a token's life, for one verifier of one worker. When full, the coldest is verified again. */
const MAX_TOKENS = 50_000;
/** Claims are shorter than the token they came from, so its length bounds them from above. */
const MAX_BYTES = 64 * 1_048_576;
/** The map's entry, the fingerprint, the principal and its set of scopes. */
const ENTRY_OVERHEAD_BYTES = 768;
