import { REASON, type ReasonCode } from "./reason.ts";

/** What a policy says about the call it refused. One per worker, reused: copy what must live on. */
export interface Refusal {
  /** Index of the refusing policy in the list that was walked; -1 when the road itself refused. */
  policyIndex: number;
  reason: ReasonCode;
  /** When coming back can succeed, milliseconds from now; 0 when waiting does not help. */
  retryAfterMs: number;
  /** What is left of the limit that refused, in its own cost unit. */
  remaining: number;
  /** Belongs to the reason: the limits that refused, the scopes that lack, the methods that are allowed. */
  detail: unknown;
}

export function createRefusal(): Refusal {
  return { policyIndex: -1, reason: REASON.none, retryAfterMs: 0, remaining: 0, detail: undefined };
}

/** Fills a refusal whole, so that nothing of an earlier one shows through. */
export function refuseWith(
  refusal: Refusal,
  reason: ReasonCode,
  { retryAfterMs = 0, remaining = 0, detail }: Partial<Omit<Refusal, "reason">> = {},
): void {
  refusal.policyIndex = -1;
  refusal.reason = reason;
  refusal.retryAfterMs = retryAfterMs;
  refusal.remaining = remaining;
  refusal.detail = detail;
}
