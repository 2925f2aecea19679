import type { Random } from "@tidegate/clock";
import type { SessionClaims } from "./session-claims.ts";
import type { SessionRecord } from "./session-record.ts";

/** What changes in a session with every grant. Level and time of sign-in do not: a refresh is no sign-in. */
export type SessionGrant = Pick<
  SessionRecord,
  | "subject"
  | "client"
  | "scopes"
  | "issuedAtSeconds"
  | "providerSession"
  | "tokenId"
  | "endsMs"
  | "renewMs"
  | "grantedUntilMs"
>;

/** @param options.endsMs when the session ends in any case, wall milliseconds */
export function toGrant(
  claims: SessionClaims,
  {
    canRenew,
    nowMs,
    endsMs,
    random,
  }: {
    readonly canRenew: boolean;
    readonly nowMs: number;
    readonly endsMs: number;
    readonly random: Random;
  },
): SessionGrant {
  const { subject, client, scopes, issuedAtSeconds, providerSession, tokenId, grantedUntilMs } =
    claims;
  // With jitter, so that sessions which began together do not all come back together.
  const leadMs = Math.min(MOST_LEAD_MS, (grantedUntilMs - nowMs) / 3) * (1 - random.unit() / 4);
  return {
    subject,
    client,
    scopes,
    issuedAtSeconds,
    providerSession,
    tokenId,
    // What cannot be renewed ends with what was granted.
    endsMs: Math.floor(canRenew ? endsMs : Math.min(endsMs, grantedUntilMs)),
    renewMs: Math.floor(canRenew ? grantedUntilMs - leadMs : grantedUntilMs),
    grantedUntilMs: Math.floor(grantedUntilMs),
  };
}

/** Longest time before the end of a grant at which it is renewed. */
const MOST_LEAD_MS = 60_000;
