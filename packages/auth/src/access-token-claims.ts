import type { JsonObject } from "./json-object.ts";
import { readNumericDate } from "./numeric-date.ts";
import { readPrincipal, type ClaimNames } from "./principal-claims.ts";
import type { Principal } from "./principal.ts";
import type { InvalidWhy } from "./verification.ts";

/** What the claims of an issuer's access tokens must be. */
export interface AccessTokenRules extends ClaimNames {
  /** Must be in `aud`. */
  readonly audience: string;
  /** What else may stand in `aud` beside `audience`; anything further is refused. */
  readonly otherAudiences: readonly string[];
  /** Longest `exp − iat` that is believed. */
  readonly maxLifetimeSeconds: number;
}

/**
 * Reads who is calling from the claims of an access token (RFC 9068 §2.2, §4), signed or not: the signature is
 * checked elsewhere, and nothing here may be trusted before.
 * @param type the header's `typ`, normalised
 * @param nowMs wall time
 * @returns the principal, or why the claims are not accepted
 */
export function readAccessToken(
  payload: JsonObject,
  {
    type,
    rules,
    nowMs,
  }: { readonly type: string; readonly rules: AccessTokenRules; readonly nowMs: number },
): Principal | InvalidWhy {
  if (payload["iss"] !== rules.issuer) return "issuer";
  if (!isAccessToken(payload)) return "kind-of-token";
  if (!isForUs(payload["aud"], rules)) return "audience";
  const expiresSeconds = readNumericDate(payload["exp"]);
  const issuedSeconds = readNumericDate(payload["iat"]);
  if (expiresSeconds === undefined || issuedSeconds === undefined) return "claims";
  const untimely = judgeTimes(payload, { expiresSeconds, issuedSeconds, rules, nowMs });
  if (untimely !== undefined) return untimely;
  return readPrincipal(payload, { type, rules, expiresSeconds, issuedSeconds, nowMs });
}

/**
 * RFC 8725 §3.12: other kinds of token are signed by the same keys, and where `typ` is the loose `JWT` only their
 * claims tell them apart. `nonce` and the hashes: ID tokens. `events`: logout and security event tokens. `htm`,
 * `htu`: DPoP proofs. `token_use` (Cognito) and a payload's own `typ` (Keycloak) name the kind.
 */
function isAccessToken(payload: JsonObject): boolean {
  for (const name of OTHER_KINDS) if (Object.hasOwn(payload, name)) return false;
  const { token_use: use, typ } = payload;
  if (use !== undefined && use !== "access") return false;
  return typ === undefined || typ === "Bearer";
}

const OTHER_KINDS = ["nonce", "at_hash", "c_hash", "s_hash", "events", "htm", "htu", "ath"];

/**
 * Whether a token is for us: the configured audience must be there, and every further one must be configured too. Asking only for membership
 * lets a token that was meant for another service, and that this one received, be played back here.
 */
export function isForUs(
  aud: unknown,
  { audience, otherAudiences }: Pick<AccessTokenRules, "audience" | "otherAudiences">,
): boolean {
  const audiences: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
  return (
    audiences.includes(audience) &&
    audiences.every(
      (name) => name === audience || (typeof name === "string" && otherAudiences.includes(name)),
    )
  );
}

function judgeTimes(
  payload: JsonObject,
  {
    expiresSeconds,
    issuedSeconds,
    rules: { clockToleranceSeconds, maxLifetimeSeconds },
    nowMs,
  }: {
    readonly expiresSeconds: number;
    readonly issuedSeconds: number;
    readonly rules: AccessTokenRules;
    readonly nowMs: number;
  },
): InvalidWhy | undefined {
  const nowSeconds = nowMs / 1_000;
  if (nowSeconds >= expiresSeconds + clockToleranceSeconds) return "expired";
  if (issuedSeconds > nowSeconds + clockToleranceSeconds) return "not-yet-valid";
  const lifetimeSeconds = expiresSeconds - issuedSeconds;
  if (lifetimeSeconds <= 0 || lifetimeSeconds > maxLifetimeSeconds) return "lifetime";
  if (payload["nbf"] !== undefined) {
    const notBeforeSeconds = readNumericDate(payload["nbf"]);
    if (notBeforeSeconds === undefined) return "claims";
    if (notBeforeSeconds > nowSeconds + clockToleranceSeconds) return "not-yet-valid";
  }
  return undefined;
}
