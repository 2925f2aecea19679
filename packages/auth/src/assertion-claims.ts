import type { JsonObject } from "./json-object.ts";
import { readNumericDate } from "./numeric-date.ts";
import { readAssertedProfile, type Profile } from "./profile.ts";

/** What the gateway vouches for, as a service sees it. */
export interface AssertedIdentity {
  /** The issuer that knows the person. A person is (`source`, `subject`). Empty for anonymous callers. */
  readonly source: string;
  /** Empty for anonymous callers. */
  readonly subject: string;
  readonly client: string;
  readonly scopes: ReadonlySet<string>;
  /** Empty when nobody said. */
  readonly acr: string;
  /** Seconds since the epoch; 0 when nobody said. */
  readonly authTimeSeconds: number;
  /** The provider's session; empty when there is none. */
  readonly sessionId: string;
  /** What of the person the route asks for and is known; empty where it asks for nothing. For showing, never for recognising. */
  readonly profile: Profile;
  /** When the assertion ends, milliseconds since the epoch. */
  readonly expiresAtMs: number;
}

/** `typ` of the forwarded assertion, so that it can never pass for another kind of token (RFC 8725 §3.11). */
export const ASSERTION_TYPE = "tidegate-assertion+jwt";

/** The gateway's lifetime for assertions, seconds. Short, because services do not ask back. */
export const ASSERTION_LIFETIME_SECONDS = 60;

/**
 * Reads the claims of an assertion whose signature was found good.
 * @returns undefined when they are not meant for `audience`, not of `issuer`, not of now, or malformed
 */
export function readAssertionClaims(
  payload: JsonObject,
  {
    issuer,
    audience,
    nowMs,
    toleranceSeconds,
  }: {
    readonly issuer: string;
    readonly audience: string;
    /** Wall time. */
    readonly nowMs: number;
    readonly toleranceSeconds: number;
  },
): AssertedIdentity | undefined {
  // One string, exactly: an assertion for another service must not be replayed here.
  if (payload["iss"] !== issuer || payload["aud"] !== audience) return undefined;

  const expires = readNumericDate(payload["exp"]);
  const issued = readNumericDate(payload["iat"]);
  if (expires === undefined || issued === undefined) return undefined;
  const nowSeconds = nowMs / 1_000;
  if (nowSeconds >= expires + toleranceSeconds) return undefined;
  if (issued > nowSeconds + toleranceSeconds) return undefined;
  if (expires - issued > ASSERTION_LIFETIME_SECONDS) return undefined;

  const source = readText(payload["src"]);
  const subject = readText(payload["sub"]);
  const client = readText(payload["client_id"]);
  const scope = readText(payload["scope"]);
  const acr = readText(payload["acr"]);
  const sessionId = readText(payload["sid"]);
  const profile = readAssertedProfile(payload);
  if (
    source === undefined ||
    subject === undefined ||
    client === undefined ||
    scope === undefined ||
    acr === undefined ||
    sessionId === undefined ||
    profile === undefined
  ) {
    return undefined;
  }
  // A subject without its issuer is nobody; present but empty must not pass for anonymous.
  if (payload["sub"] === "" || (subject !== "" && source === "")) return undefined;

  return Object.freeze({
    source,
    subject,
    client,
    scopes: new Set(scope === "" ? [] : scope.split(" ")),
    acr,
    authTimeSeconds: readNumericDate(payload["auth_time"]) ?? 0,
    sessionId,
    profile,
    expiresAtMs: expires * 1_000,
  });
}

/** An absent claim is empty; one of another type spoils the assertion. */
const readText = (value: unknown): string | undefined =>
  value === undefined ? "" : typeof value === "string" ? value : undefined;
