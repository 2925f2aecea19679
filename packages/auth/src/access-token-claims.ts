import type { JsonObject } from "./json-object.ts";
import { readNumericDate } from "./numeric-date.ts";
import type { Principal } from "./principal.ts";
import type { InvalidWhy } from "./verification.ts";

/** What the claims of an issuer's access tokens must be. */
export interface AccessTokenRules {
  /** Exactly as it stands in `iss`. */
  readonly issuer: string;
  /** Must be in `aud`. */
  readonly audience: string;
  /** What else may stand in `aud` beside `audience`; anything further is refused. */
  readonly otherAudiences: readonly string[];
  /** How far the issuer's clock may differ. */
  readonly clockToleranceSeconds: number;
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
  // RFC 9449 §7.2, RFC 8705 §3: a token bound to a key is worth nothing without the proof; taken as a plain bearer
  // token, a stolen one would work.
  if (payload["cnf"] !== undefined) return "proof-of-possession";

  const subject = readName(payload["sub"]);
  const client = readName(readClient(payload, type));
  const scopes = readScopes(payload);
  const acr = readOptionalName(payload["acr"]);
  const sessionId = readOptionalName(payload["sid"]);
  const tokenId = readOptionalName(payload["jti"]);
  if (
    subject === undefined ||
    client === undefined ||
    scopes === undefined ||
    acr === undefined ||
    sessionId === undefined ||
    tokenId === undefined
  ) {
    return "claims";
  }
  return Object.freeze({
    // RFC 9068 §2.2: with client credentials, where nobody signed in, `sub` names the client.
    kind: subject === client ? "client" : "person",
    issuer: rules.issuer,
    subject,
    client,
    scopes,
    acr,
    authTimeSeconds: readAuthTime(payload["auth_time"], rules, nowMs),
    issuedAtSeconds: Math.floor(issuedSeconds),
    sessionId,
    tokenId,
    expiresAtMs: expiresSeconds * 1_000,
  });
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
 * The configured audience must be there, and every further one must be configured too. Asking only for membership
 * lets a token that was meant for another service, and that this one received, be played back here.
 */
function isForUs(aud: unknown, { audience, otherAudiences }: AccessTokenRules): boolean {
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

/** RFC 9068 has `client_id`; providers that do not follow it say `azp` (Auth0, Keycloak) or `cid` (Okta). */
function readClient(payload: JsonObject, type: string): unknown {
  const { client_id: client, azp, cid } = payload;
  return type === "at+jwt" ? client : (client ?? azp ?? cid);
}

/** `scope` (RFC 8693 §4.2), or `scp` (Okta, Entra), each as a list or as text with blanks. */
function readScopes(payload: JsonObject): ReadonlySet<string> | undefined {
  const value = payload["scope"] ?? payload["scp"] ?? "";
  const scopes: readonly unknown[] | undefined =
    typeof value === "string" ? (value === "" ? [] : value.split(" ")) : asArray(value);
  if (scopes === undefined || scopes.length > MAX_SCOPES) return undefined;
  const checked = scopes.filter(isScope);
  return checked.length === scopes.length ? new Set(checked) : undefined;
}

const asArray = (value: unknown): readonly unknown[] | undefined =>
  Array.isArray(value) ? value : undefined;

/** RFC 6749 §3.3. */
const isScope = (scope: unknown): scope is string =>
  typeof scope === "string" && /^[!#-[\]-~]{1,256}$/.test(scope);

/** More than any provider grants; scopes are walked on every call. */
const MAX_SCOPES = 256;

/**
 * OWASP ASVS 6.8.4: where the provider does not say, the weakest is assumed. Absent, zero, text or a time that has
 * not come all mean unknown, and unknown satisfies no freshness rule.
 */
function readAuthTime(value: unknown, rules: AccessTokenRules, nowMs: number): number {
  const seconds = readNumericDate(value);
  if (seconds === undefined || seconds > nowMs / 1_000 + rules.clockToleranceSeconds) return 0;
  return Math.floor(seconds);
}

/** OpenID Connect Core §2 ends `sub` at 255 characters; control characters would only serve to confuse a log. */
function readName(value: unknown): string | undefined {
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  return typeof value === "string" && /^[^\u0000-\u001f\u007f-\u009f]{1,255}$/.test(value)
    ? value
    : undefined;
}

const readOptionalName = (value: unknown): string | undefined =>
  value === undefined ? "" : readName(value);
