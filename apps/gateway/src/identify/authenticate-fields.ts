import type { RequestHead } from "../accept/request-head.ts";
import { REASON } from "../judge/reason.ts";
import type { Refusal } from "../judge/refusal.ts";
import { DEFAULT_REALM, type Challenges } from "./challenges.ts";
import type { LevelDetail, ScopeDetail } from "./check-level.ts";
import { kindOfScheme } from "./presented-credential.ts";
import { isProofDetail } from "./proof-detail.ts";

/**
 * The values of `WWW-Authenticate` for a refused call, those for tokens first; none when the refusal is not about credentials.
 *
 * Basic is left out as soon as a browser's script or another site may be behind the call: the browser would open its
 * own dialog over somebody else's page. A 401 must carry a challenge (RFC 9110 §15.5.2), so Bearer then stands alone
 * even where only Basic is accepted.
 */
export function authenticateFields({
  challenges,
  head,
  refusal,
}: {
  readonly challenges: Challenges;
  readonly head: BrowserFields;
  readonly refusal: Pick<Refusal, "reason" | "detail">;
}): string[] {
  const error = bearerError(refusal);
  if (error === undefined) return [];
  const { basicRealm } = challenges;
  // More rights than the credential has, or a level: Basic cannot bring either, so asking for it would be a loop.
  const offersBasic = basicRealm !== undefined && canBasicHelp(refusal) && !mayBePage(head);
  const fields = tokenChallenges({ challenges, head, refusal, error, offersBasic });
  // RFC 7617 §2.1.
  if (offersBasic) fields.push(`Basic realm=${quoted(basicRealm)}, charset="UTF-8"`);
  return fields;
}

/** Challenges for tokens: by the scheme that the caller used, or the ones that would help. */
function tokenChallenges({
  challenges: { bearerRealm, basicRealm, dpopAlgorithms, requiresProof },
  head,
  refusal,
  error,
  offersBasic,
}: Parameters<typeof authenticateFields>[0] & {
  readonly error: string;
  readonly offersBasic: boolean;
}): string[] {
  const realm = quoted(bearerRealm ?? basicRealm ?? DEFAULT_REALM);
  const isMissing = refusal.reason === REASON.credential_missing;
  if (dpopAlgorithms !== undefined) {
    const algorithms = quoted(dpopAlgorithms);
    const withProof = ((): string => {
      if (isMissing) return `DPoP realm=${realm}, algs=${algorithms}`;
      // RFC 9449 §7.1, §9.
      const isNonceWanted = isProofDetail(refusal.detail) && refusal.detail.nonce !== "";
      if (isNonceWanted) return `DPoP error="use_dpop_nonce", algs=${algorithms}`;
      if (isInvalid(refusal)) return `DPoP error="invalid_token", algs=${algorithms}`;
      return `DPoP realm=${realm}${error}, algs=${algorithms}`;
    })();
    const isShown = head.authorization !== undefined && kindOfScheme(head.authorization) === "dpop";
    if (isShown || (requiresProof && isMissing)) return [withProof];
    // RFC 9449 §7.2: a bound token without its proof; the client is told what it must do instead.
    if (isProofDetail(refusal.detail)) return [`Bearer realm=${realm}${error}`, withProof];
  }
  if (bearerRealm === undefined && offersBasic) return [];
  return [`Bearer realm=${realm}${error}`];
}

const isInvalid = ({ reason }: Pick<Refusal, "reason">): boolean =>
  reason === REASON.credential_invalid || reason === REASON.session_revoked;

/** What tells that a page in a browser may have made the call. */
export type BrowserFields = Pick<
  RequestHead,
  "authorization" | "cookie" | "origin" | "hasCsrfField" | "secFetchMode"
>;

const mayBePage = ({ cookie, origin, hasCsrfField, secFetchMode }: BrowserFields): boolean =>
  cookie !== undefined ||
  origin !== undefined ||
  hasCsrfField ||
  (secFetchMode !== undefined && secFetchMode !== "navigate");

const canBasicHelp = (refusal: Pick<Refusal, "reason">): boolean =>
  refusal.reason === REASON.credential_missing || isInvalid(refusal);

/** What follows the realm, with its leading comma; undefined when there is nothing to challenge for. */
function bearerError({ reason, detail }: Pick<Refusal, "reason" | "detail">): string | undefined {
  switch (reason) {
    // RFC 6750 §3.1: who showed nothing gets no error code.
    case REASON.credential_missing:
      return "";
    case REASON.credential_invalid:
    case REASON.session_revoked:
      // One text for all: which check failed would help to make a better forgery.
      return parameters({
        error: "invalid_token",
        error_description: "The credential is expired, revoked or not valid here",
      });
    case REASON.credential_ambiguous:
      return parameters({
        error: "invalid_request",
        error_description: "More than one credential",
      });
    case REASON.scope_lacking:
      return parameters({
        error: "insufficient_scope",
        scope: isScopeDetail(detail) ? detail.scopes.join(" ") : "",
      });
    case REASON.level_lacking:
    case REASON.sign_in_due:
      return levelError(isLevelDetail(detail) ? detail : NO_DETAIL);
    default:
      return undefined;
  }
}

/** RFC 9470 §3. */
function levelError({ acr, maxAgeSeconds, scopes }: LevelDetail): string {
  const error = parameters({
    error: "insufficient_user_authentication",
    error_description: "A stronger or fresher sign-in is needed",
    acr_values: acr.join(" "),
  });
  const maxAge = maxAgeSeconds === undefined ? "" : `, max_age=${Math.floor(maxAgeSeconds)}`;
  return `${error}${maxAge}${parameters({ scope: scopes.join(" ") })}`;
}

/** Parameters in the given order, empty ones left out. */
function parameters(values: Readonly<Record<string, string>>): string {
  let text = "";
  for (const [name, value] of Object.entries(values)) {
    if (value !== "") text += `, ${name}=${quoted(value)}`;
  }
  return text;
}

/**
 * A quoted-string (RFC 9110 §5.6.4). What could end it, or the field, is taken out: RFC 6750 §3 allows neither quote
 * nor backslash in these values, and a line break would begin a field of somebody's own.
 */
function quoted(value: string): string {
  return `"${value.replaceAll(/[^\u0020\u0021\u0023-\u005b\u005d-\u007e]/g, "")}"`;
}

const NO_DETAIL: LevelDetail = { acr: [], maxAgeSeconds: undefined, scopes: [] };

const isScopeDetail = (detail: unknown): detail is ScopeDetail =>
  typeof detail === "object" && detail !== null && "scopes" in detail;
const isLevelDetail = (detail: unknown): detail is LevelDetail =>
  isScopeDetail(detail) && "acr" in detail;
