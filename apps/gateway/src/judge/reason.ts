import { VERDICT, type Verdict } from "./verdict.ts";

/**
 * Every way a call can be refused, and what it is on the wire: the one table behind HTTP statuses, problem
 * documents, WebSocket close codes and `docs/errors.md`.
 *
 * `status` is the HTTP answer. `closeCode` is how a live socket is told (44xx: do not come back without doing
 * what it says; 45xx: come back after the wait given). `closes`: the connection ends with the answer, because
 * where the next request on it begins is no longer certain, or because the peer is hostile.
 */
export interface ReasonKind {
  readonly name: string;
  readonly verdict: Verdict;
  readonly status: number;
  readonly title: string;
  readonly closeCode: number;
  readonly closeWord: string;
  readonly closes: boolean;
}

const kind = (
  name: string,
  verdict: Verdict,
  status: number,
  title: string,
  { closeCode = 4400, closeWord = "contract", closes = false } = {},
): ReasonKind => ({ name, verdict, status, title, closeCode, closeWord, closes });

const { admit, reject, challenge, forbid, throttle, boxed, shed, unavailable } = VERDICT;

const gone = { closeCode: 4404, closeWord: "gone" };
const credential = { closeCode: 4401, closeWord: "credential" };
const forbidden = { closeCode: 4403, closeWord: "forbidden" };
const limit = { closeCode: 4429, closeWord: "limit" };
const shedding = { closeCode: 4503, closeWord: "shedding" };
const tooBig = { closeCode: 4413, closeWord: "message-too-big" };

export const REASONS = {
  none: kind("none", admit, 200, "No refusal"),

  // 1. HTTP shape, host, canonical path
  malformed_request: kind("malformed-request", reject, 400, "The request is malformed", {
    closes: true,
  }),
  bad_path: kind("bad-path", reject, 400, "The path is not in canonical reach"),
  misdirected: kind("misdirected-request", reject, 421, "This host is not served here"),
  request_late: kind("request-late", reject, 408, "The request took too long to arrive", {
    closes: true,
  }),
  target_too_long: kind("target-too-long", reject, 414, "The request target is too long", {
    closes: true,
  }),
  fields_too_large: kind("fields-too-large", reject, 431, "The header fields are too large", {
    closes: true,
  }),
  expectation_failed: kind("expectation-failed", reject, 417, "This expectation cannot be met"),
  method_unknown: kind("method-unknown", reject, 501, "This method is not known here"),
  forwarding_loop: kind("forwarding-loop", reject, 508, "The request came back to this gateway"),

  // 2. route, method, overload
  route_unknown: kind("route-unknown", reject, 404, "Nothing is served at this path", gone),
  method_not_allowed: kind("method-not-allowed", reject, 405, "This method is not allowed here"),
  upgrade_required: kind("upgrade-required", reject, 426, "This path speaks WebSocket only"),
  upgrade_not_offered: kind("upgrade-not-offered", reject, 400, "This path does not upgrade"),
  bad_handshake: kind("bad-handshake", reject, 400, "The WebSocket handshake is not valid", {
    closes: true,
  }),
  overloaded: kind("temporary-reduced-capacity", shed, 503, "Short of capacity for now", shedding),

  // 4. other sites
  origin_refused: kind("origin-refused", forbid, 403, "This origin may not call here", forbidden),

  // 5. credential
  credential_missing: kind(
    "credential-missing",
    challenge,
    401,
    "A credential is needed",
    credential,
  ),
  credential_invalid: kind(
    "credential-invalid",
    challenge,
    401,
    "The credential is not accepted",
    credential,
  ),
  credential_ambiguous: kind(
    "credential-ambiguous",
    reject,
    400,
    "Two credentials at once",
    credential,
  ),
  identity_unavailable: kind(
    "identity-unavailable",
    unavailable,
    503,
    "Credentials cannot be checked for now",
    shedding,
  ),
  identity_busy: kind(
    "identity-busy",
    shed,
    503,
    "Too many credentials are being checked",
    shedding,
  ),
  identity_backoff: kind("identity-back-off", throttle, 429, "Too many failed attempts", limit),

  tickets_open: kind("too-many-tickets", throttle, 429, "Too many open tickets", limit),

  // 6. revocation
  session_revoked: kind("session-revoked", challenge, 401, "The session was ended", {
    closeCode: 4410,
    closeWord: "session-revoked",
  }),

  // 7. penalty
  penalised: kind("abnormal-usage-detected", boxed, 429, "In the penalty box", {
    closeCode: 4429,
    closeWord: "penalty",
  }),

  sign_in_due: kind(
    "reauthentication-required",
    challenge,
    401,
    "Sign in again after the penalty",
    credential,
  ),

  // 8. scope and level
  scope_lacking: kind("insufficient-scope", forbid, 403, "The credential lacks a scope", forbidden),
  level_lacking: kind(
    "insufficient-user-authentication",
    challenge,
    401,
    "A stronger or fresher sign-in is needed",
    credential,
  ),

  // 3, 9. limits
  limit_exceeded: kind("quota-exceeded", throttle, 429, "Over a limit", limit),
  cost_impossible: kind(
    "impossible-cost",
    reject,
    413,
    "More than the limit can ever hold",
    tooBig,
  ),
  limit_store_lost: kind(
    "temporary-reduced-capacity",
    unavailable,
    503,
    "Limits cannot be checked for now",
    shedding,
  ),

  // 10. body
  body_too_large: kind("body-too-large", reject, 413, "The body is too large", {
    ...tooBig,
    closes: true,
  }),
  body_too_slow: kind("body-too-slow", reject, 408, "The body arrived too slowly", {
    closes: true,
  }),
} as const satisfies Record<string, ReasonKind>;

export type ReasonName = keyof typeof REASONS;

const names = Object.keys(REASONS) as ReasonName[];

/** Reason codes: numbers, so that a refusal on the message path allocates nothing. */
export const REASON = Object.fromEntries(names.map((name, code) => [name, code])) as {
  readonly [Name in ReasonName]: number;
};
export type ReasonCode = number;

/** The table by code. */
export const REASON_BY_CODE: readonly ReasonKind[] = names.map((name) => REASONS[name]);
