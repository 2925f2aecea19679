import type { Principal } from "@tidegate/auth";

// After a penalty a person must sign in again: whoever went on over the limits may be a program that has their token, and
// a token that is merely refreshed proves nothing new (RFC 9068 §2.2.1: it keeps its `auth_time`).

/**
 * Whether the person has not signed in since.
 * @param penaltyMs P, the start of their latest penalty, wall milliseconds in whole seconds; 0 when there was none
 */
export function isSignInDue(
  { authTimeSeconds, sessionCreatedSeconds = 0 }: Principal,
  penaltyMs: number,
): boolean {
  if (penaltyMs === 0) return false;
  // A provider that does not say when somebody signed in: then when our own session with them began.
  const signedInSeconds = authTimeSeconds > 0 ? authTimeSeconds : sessionCreatedSeconds;
  return signedInSeconds * 1_000 <= penaltyMs;
}

/** What a sign-in may be old at most, in seconds, to be later than the penalty began: `max_age` of the challenge. */
export function oldestSignInSeconds(penaltyMs: number, nowMs: number): number {
  return Math.max(0, Math.floor(nowMs / 1_000) - penaltyMs / 1_000 - 1);
}
