import type { Accepted, Verification } from "@tidegate/auth";
import { REASON } from "../judge/reason.ts";
import { refuseWith, type Refusal } from "../judge/refusal.ts";
import { credentialRefused } from "../record/events.ts";
import type { Log } from "../record/logger.ts";
import type { AnswerMeans } from "./credential-kind.ts";

/** One way to check the credential at hand. */
export type Check<Verifier> = (verifier: Verifier) => Verification | Promise<Verification>;

/**
 * Asks one verifier after the other until one accepts; nearly always there is one, and it answers at once.
 * @returns what the accepting one said, or undefined after `refusal` was filled
 */
export function askVerifiers<Verifier>({
  verifiers: [first, ...others],
  check,
  log,
  refusal,
  caller,
}: AnswerMeans & {
  readonly verifiers: readonly Verifier[];
  readonly check: Check<Verifier>;
  readonly log: Log;
}): Accepted | undefined | Promise<Accepted | undefined> {
  if (first === undefined) return refuseCredential("issuer", { refusal, log });
  const answer = check(first);
  if (others.length === 0 && !(answer instanceof Promise)) return settle(answer, { refusal, log });
  return firstAccepted(answer, others, check).then(
    (settled) => settle(settled, { refusal, log }),
    (error: unknown) => {
      // The caller left: nobody reads this answer, and nothing failed.
      if (caller.signal.aborted) return refuse(refusal, REASON.identity_unavailable);
      throw error;
    },
  );
}

/** The credential is not good; `why` is for the log alone. */
export function refuseCredential(
  why: string,
  { refusal, log }: { readonly refusal: Refusal; readonly log: Log },
): undefined {
  credentialRefused(log, { why });
  return refuse(refusal, REASON.credential_invalid);
}

function settle(
  answer: Verification,
  means: { readonly refusal: Refusal; readonly log: Log },
): Accepted | undefined {
  const { refusal } = means;
  switch (answer.outcome) {
    case "accepted":
      return answer;
    case "invalid":
      return refuseCredential(answer.why, means);
    case "unavailable":
      return refuse(refusal, REASON.identity_unavailable, answer.retryAfterMs);
    case "busy":
      return refuse(refusal, REASON.identity_busy, answer.retryAfterMs);
    case "backed-off":
      return refuse(refusal, REASON.identity_backoff, answer.retryAfterMs);
  }
}

async function firstAccepted<Verifier>(
  answer: Verification | Promise<Verification>,
  others: readonly Verifier[],
  check: Check<Verifier>,
): Promise<Verification> {
  let settled = await answer;
  for (const verifier of others) {
    if (settled.outcome === "accepted") return settled;
    const next = await check(verifier);
    // What could not be decided weighs more than a refusal: the credential may be good there.
    if (next.outcome !== "invalid" || settled.outcome === "invalid") settled = next;
  }
  return settled;
}

/** Fills the refusal, for whoever returns what it returns. */
export function refuse(refusal: Refusal, reason: number, retryAfterMs = 0): undefined {
  refuseWith(refusal, reason, { retryAfterMs });
}
