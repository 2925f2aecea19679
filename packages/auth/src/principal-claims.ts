import { isJsonObject, type JsonObject } from "./json-object.ts";
import { readNumericDate } from "./numeric-date.ts";
import type { Principal } from "./principal.ts";
import { readProfile } from "./profile.ts";
import type { InvalidWhy } from "./verification.ts";

/** How one provider says what it says. */
export interface ClaimNames {
  /** Exactly as it stands in `iss`. */
  readonly issuer: string;
  /** The claim that has the scopes. Default: `scope` (RFC 8693 §4.2), and `scp` (Okta, Entra) where there is none. */
  readonly scopeClaim?: string | undefined;
  /**
   * The claim that names the client. Default: `client_id`, and `azp` (Auth0, Keycloak) or `cid` (Okta) in tokens that are
   * no `at+jwt`.
   */
  readonly clientClaim?: string | undefined;
  /** The provider's levels → our names for them; one that is not in it is unknown. Default: as the provider says. */
  readonly acrMap?: Readonly<Record<string, string>> | undefined;
  /** The claim that says when the person signed in; empty when no claim does. Default: `auth_time`. */
  readonly authTimeClaim?: string | undefined;
  /**
   * What becomes of tokens that are bound to a key (`cnf.jkt`): refused, or accepted by somebody who checks the proof
   * with every call, and reads from `Principal.keyThumbprint` that there must be one. Default: refused.
   */
  readonly boundTokens?: "refused" | "proof-checked-by-caller" | undefined;
  /** How far the issuer's clock may differ. */
  readonly clockToleranceSeconds: number;
}

/**
 * Reads who is calling from claims: of a token (RFC 9068 §2.2), or of an answer about one (RFC 7662 §2.2). Issuer, audience
 * and times are judged before.
 * @param type the header's `typ`, normalised; empty when there is no header
 * @returns the principal, or why the claims are not accepted
 */
export function readPrincipal(
  claims: JsonObject,
  {
    type,
    rules,
    expiresSeconds,
    issuedSeconds,
    nowMs,
  }: {
    readonly type: string;
    readonly rules: ClaimNames;
    readonly expiresSeconds: number;
    /** 0 when it is not known. */
    readonly issuedSeconds: number;
    readonly nowMs: number;
  },
): Principal | InvalidWhy {
  const keyThumbprint = readConfirmation(claims["cnf"]);
  if (keyThumbprint === "certificate-bound") return keyThumbprint;
  if (
    keyThumbprint === undefined ||
    (keyThumbprint !== "" && rules.boundTokens !== "proof-checked-by-caller")
  ) {
    return "proof-of-possession";
  }
  const subject = readName(claims["sub"]);
  const client = readName(readClient(claims, type, rules));
  const scopes = readScopes(claims, rules);
  const acr = readOptionalName(claims["acr"]);
  const sessionId = readOptionalName(claims["sid"]);
  const tokenId = readOptionalName(claims["jti"]);
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
  const { authTimeClaim = "auth_time" } = rules;
  const profile = readProfile(claims);
  return Object.freeze({
    // RFC 9068 §2.2: with client credentials, where nobody signed in, `sub` names the client.
    kind: subject === client ? "client" : "person",
    issuer: rules.issuer,
    subject,
    client,
    scopes,
    acr: mapLevel(acr, rules),
    authTimeSeconds: authTimeClaim === "" ? 0 : readAuthTime(claims[authTimeClaim], rules, nowMs),
    issuedAtSeconds: Math.floor(issuedSeconds),
    sessionId,
    tokenId,
    keyThumbprint,
    expiresAtMs: expiresSeconds * 1_000,
    ...(profile === undefined ? {} : { profile }),
  });
}

/**
 * RFC 9449 §7.2, RFC 8705 §3: a token bound to a key is worth nothing without the proof; taken as a plain bearer token, a
 * stolen one would work. Whatever else stands in `cnf` (RFC 7800) binds it too, to something nobody here can check.
 * @returns the thumbprint of the key, empty when the token is not bound; undefined when it is bound in a way that is not
 *   known
 */
function readConfirmation(cnf: unknown): string | undefined {
  if (cnf === undefined) return "";
  if (!isJsonObject(cnf)) return undefined;
  if (Object.hasOwn(cnf, "x5t#S256")) return "certificate-bound";
  const { jkt, ...others } = cnf;
  // A SHA-256 in base64url. The last character has two bits that do not count, so it is compared as text only.
  const isThumbprint = typeof jkt === "string" && /^[A-Za-z0-9_-]{43}$/.test(jkt);
  return isThumbprint && Object.keys(others).length === 0 ? jkt : undefined;
}

function readClient(claims: JsonObject, type: string, { clientClaim }: ClaimNames): unknown {
  if (clientClaim !== undefined) return claims[clientClaim];
  const { client_id: client, azp, cid } = claims;
  return type === "at+jwt" ? client : (client ?? azp ?? cid);
}

/** Each may be a list, or text with blanks. */
function readScopes(
  claims: JsonObject,
  { scopeClaim }: ClaimNames,
): ReadonlySet<string> | undefined {
  const value =
    (scopeClaim === undefined ? (claims["scope"] ?? claims["scp"]) : claims[scopeClaim]) ?? "";
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

/** Own keys alone: a level called `constructor` is in no map. */
function mapLevel(acr: string, { acrMap }: ClaimNames): string {
  if (acrMap === undefined) return acr;
  return Object.hasOwn(acrMap, acr) ? (acrMap[acr] ?? "") : "";
}

/**
 * OWASP ASVS 6.8.4: where the provider does not say, the weakest is assumed. Absent, zero, text or a time that has
 * not come all mean unknown, and unknown satisfies no freshness rule.
 */
function readAuthTime(value: unknown, rules: ClaimNames, nowMs: number): number {
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
