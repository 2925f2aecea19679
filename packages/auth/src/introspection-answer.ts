import { isForUs } from "./access-token-claims.ts";
import { isJsonObject } from "./json-object.ts";
import { readNumericDate } from "./numeric-date.ts";
import { readPrincipal, type ClaimNames } from "./principal-claims.ts";
import type { Principal } from "./principal.ts";
import type { InvalidWhy } from "./verification.ts";

/** What an answer about an access token must say. */
export interface AnswerRules extends ClaimNames {
  readonly audience: string;
  readonly otherAudiences: readonly string[];
}

/**
 * Reads a provider's answer about an access token (RFC 7662 §2.2), as strictly as the token itself would be read. The
 * standard leaves most members to the provider; what is not said is not assumed.
 * @param nowMs wall time
 * @returns the principal; why the token is not accepted; or undefined when the answer is none
 */
export function readIntrospection(
  answer: unknown,
  { rules, nowMs }: { readonly rules: AnswerRules; readonly nowMs: number },
): Principal | InvalidWhy | undefined {
  if (!isJsonObject(answer) || typeof answer["active"] !== "boolean") return undefined;
  if (!answer["active"]) return "inactive";
  // Optional, and there is one issuer behind the endpoint that we asked; but what it says must be true (mix-up).
  if (answer["iss"] !== undefined && answer["iss"] !== rules.issuer) return "issuer";
  if (!isForUs(answer["aud"], rules)) return "audience";
  // Refresh tokens and ID tokens are active too.
  const { token_type: type } = answer;
  if (typeof type !== "string" || !TOKEN_TYPES.has(type.toLowerCase())) return "kind-of-token";
  const nowSeconds = nowMs / 1_000;
  const expiresSeconds = readNumericDate(answer["exp"]);
  if (expiresSeconds === undefined) return "claims";
  if (nowSeconds >= expiresSeconds + rules.clockToleranceSeconds) return "expired";
  const { iat, nbf } = answer;
  const issuedSeconds = iat === undefined ? 0 : readNumericDate(iat);
  if (issuedSeconds === undefined) return "claims";
  const notBeforeSeconds = nbf === undefined ? 0 : readNumericDate(nbf);
  if (notBeforeSeconds === undefined) return "claims";
  if (Math.max(issuedSeconds, notBeforeSeconds) > nowSeconds + rules.clockToleranceSeconds)
    return "not-yet-valid";
  const principal = readPrincipal(
    // Client credentials have no `sub` at some providers; RFC 9068 §2.2 says what it would be.
    { ...answer, sub: answer["sub"] ?? answer["client_id"] },
    {
      type: "",
      // The names of the answer are the standard's, whatever those of the provider's JWTs are.
      rules: { ...rules, scopeClaim: "scope", clientClaim: "client_id" },
      expiresSeconds,
      issuedSeconds,
      nowMs,
    },
  );
  // Bound to a key, so the proof belongs to it: an answer that says both would be read in two ways.
  const isBound = typeof principal !== "string" && principal.keyThumbprint !== "";
  if (type.toLowerCase() === "dpop" && typeof principal !== "string" && !isBound)
    return "proof-of-possession";
  return principal;
}

/** RFC 6750, RFC 9449; some providers name the kind of token here instead. */
const TOKEN_TYPES: ReadonlySet<string> = new Set(["bearer", "dpop", "access_token"]);
