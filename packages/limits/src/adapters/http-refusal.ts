import type { Refusal } from "./call-limit.ts";

/** A refusal as HTTP says it. */
export interface HttpRefusal {
  readonly status: 413 | 429;
  /** All but Content-Length. */
  readonly fields: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Where the documents of a problem are found, in place of the registered ones. */
export interface ProblemTypes {
  readonly quotaExceeded?: string;
  readonly impossibleCost?: string;
}

// draft-ietf-httpapi-ratelimit-headers registers the first; for the second RFC 9457 §4.2.1 says that the status says it all.
const QUOTA_EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded";
const IMPOSSIBLE_COST = "about:blank";

/** RFC 9457 problem document: 429 for over a limit, 413 for what no wait makes fit. */
export function toHttpRefusal(
  refusal: Refusal,
  rateLimitFields: Readonly<Record<string, string>>,
  problemTypes: ProblemTypes = {},
): HttpRefusal {
  const status = refusal.isImpossible ? 413 : 429;
  const problem = {
    type: refusal.isImpossible
      ? (problemTypes.impossibleCost ?? IMPOSSIBLE_COST)
      : (problemTypes.quotaExceeded ?? QUOTA_EXCEEDED),
    title: refusal.isImpossible ? "Content Too Large" : "Over a limit",
    status,
    detail: refusal.isImpossible
      ? "This call costs more than the limit can ever hold; waiting does not help."
      : "A limit is used up; come back after Retry-After.",
    "violated-policies": refusal.violated,
  };
  return {
    status,
    fields: {
      ...rateLimitFields,
      "Content-Type": "application/problem+json",
      // Else a shared cache could answer everybody with one caller's refusal.
      "Cache-Control": "no-store",
    },
    body: JSON.stringify(problem),
  };
}
