import { sign } from "node:crypto";
import type { Clock, Random } from "@tidegate/clock";
import { ASSERTION_LIFETIME_SECONDS, ASSERTION_TYPE } from "./assertion-claims.ts";
import type { AssertionKeys } from "./assertion-keys.ts";
import { createBoundedMemory } from "./bounded-memory.ts";
import type { Principal } from "./principal.ts";
import { pickProfile, PROFILE_CLAIMS, type ProfileClaim } from "./profile.ts";

export interface AssertionSignerOptions {
  /** `iss` of the assertions: the gateway's public URL. */
  readonly issuer: string;
  readonly keys: AssertionKeys;
  readonly clock: Clock;
  readonly random: Random;
}

/** Who gets an assertion, and what of a person they are told. Made once per route. */
export interface AssertionAudience {
  /** The upstream's name: `aud`. */
  readonly upstream: string;
  /** What of the person's profile is asserted where it is known. */
  readonly claims: readonly ProfileClaim[];
}

/** Makes the value of `Tidegate-Assertion`. */
export interface AssertionSigner {
  /**
   * Synchronous. Remembered per credential, upstream and set of claims, and signed anew when the principal was replaced
   * or less than 15 s are left. What is remembered is found without allocating.
   * @param fingerprint stands for the credential; empty for anonymous callers
   */
  assertion(principal: Principal, fingerprint: string, audience: AssertionAudience): string;
  /** Forgets everything, as after a change of keys. */
  clear(): void;
}

export function createAssertionSigner({
  issuer,
  keys,
  clock,
  random,
}: AssertionSignerOptions): AssertionSigner {
  const memory = createBoundedMemory<Remembered>({
    maxEntries: MAX_REMEMBERED,
    maxBytes: MAX_REMEMBERED_BYTES,
  });

  return {
    assertion(principal, fingerprint, audience) {
      const { upstream, claims } = audience;
      const nowMs = clock.wallMs();
      const caller = memory.get(fingerprint);
      // A principal is frozen and replaced whole, so the same object means the same session, scopes, level and
      // time of sign-in; comparing it costs nothing and can miss no member.
      const signed = caller?.principal === principal ? caller.signed : undefined;
      const claimSet = claimSetOf(claims);
      for (let at = 0; signed !== undefined && at < signed.length; at++) {
        const one = signed[at] as Signed;
        if (one.upstream !== upstream || one.claimSet !== claimSet) continue;
        const isGood = nowMs < one.signAgainAtMs && nowMs >= one.signedAtMs; // the clock was set back: `iat` would lie in the future
        if (isGood) return one.token;
      }
      const fresh = signAssertion({ issuer, keys, random, principal, audience, nowMs });
      const others = (signed ?? []).filter(
        (one) => one.upstream !== upstream || one.claimSet !== claimSet,
      );
      const kept = [fresh, ...others.slice(0, MAX_AUDIENCES - 1)];
      const bytes = kept.reduce((sum, { token }) => sum + token.length + SIGNED_OVERHEAD_BYTES, 0);
      memory.set(
        fingerprint,
        { principal, signed: kept },
        bytes + fingerprint.length + ENTRY_OVERHEAD_BYTES,
      );
      return fresh.token;
    },
    clear: () => memory.clear(),
  };
}

/** One credential, and what was signed for it lately. */
interface Remembered {
  readonly principal: Principal;
  /** The last first; at most `MAX_AUDIENCES`. */
  readonly signed: readonly Signed[];
}

interface Signed {
  readonly upstream: string;
  readonly claimSet: number;
  readonly token: string;
  readonly signedAtMs: number;
  readonly signAgainAtMs: number;
}

/** A bit per claim, so that two routes which ask for the same share an assertion, in whatever order they name it. */
function claimSetOf(claims: readonly ProfileClaim[]): number {
  let set = 0;
  for (let at = 0; at < claims.length; at++)
    set |= 1 << PROFILE_CLAIMS.indexOf(claims[at] as ProfileClaim);
  return set;
}

function signAssertion({
  issuer,
  keys,
  random,
  principal,
  audience,
  nowMs,
}: {
  readonly issuer: string;
  readonly keys: AssertionKeys;
  readonly random: Random;
  readonly principal: Principal;
  readonly audience: AssertionAudience;
  readonly nowMs: number;
}): Signed {
  const { upstream, claims } = audience;
  const issuedSeconds = Math.floor(nowMs / 1_000);
  const credentialEndsSeconds = Math.floor(principal.expiresAtMs / 1_000);
  const expiresSeconds = Math.min(
    issuedSeconds + ASSERTION_LIFETIME_SECONDS,
    credentialEndsSeconds,
  );
  const key = keys.signingKey(nowMs);
  const token = signCompact(
    { alg: "EdDSA", typ: ASSERTION_TYPE, kid: key.keyId },
    {
      iss: issuer,
      aud: upstream,
      iat: issuedSeconds,
      exp: expiresSeconds,
      jti: random.bytes(16).toString("base64url"),
      ...describe(principal, claims),
    },
    (input) => sign(null, input, key.privateKey),
  );
  // An assertion cut short by its credential cannot be made longer: signing again would only cost.
  const isCutShort = expiresSeconds === credentialEndsSeconds;
  const signAgainAtMs = expiresSeconds * 1_000 - (isCutShort ? 0 : SIGN_AGAIN_BEFORE_MS);
  return { upstream, claimSet: claimSetOf(claims), token, signedAtMs: nowMs, signAgainAtMs };
}

/** Claims of the caller. What is not known is left out; an anonymous caller has none. */
function describe(
  principal: Principal,
  claims: readonly ProfileClaim[],
): Record<string, string | number | boolean> {
  if (principal.kind === "anonymous") return {};
  const { issuer, subject, client, scopes, acr, authTimeSeconds, sessionId } = principal;
  return {
    src: issuer,
    sub: subject,
    ...(client === "" ? {} : { client_id: client }),
    scope: [...scopes].join(" "),
    ...(acr === "" ? {} : { acr }),
    ...(authTimeSeconds === 0 ? {} : { auth_time: authTimeSeconds }),
    ...(sessionId === "" ? {} : { sid: sessionId }),
    ...pickProfile(principal.profile, claims),
  };
}

function signCompact(header: object, payload: object, signer: (input: Buffer) => Buffer): string {
  const input = `${encode(header)}.${encode(payload)}`;
  return `${input}.${signer(Buffer.from(input, "latin1")).toString("base64url")}`;
}

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");

/** Longer than any request should wait for its upstream's first look at the assertion. */
const SIGN_AGAIN_BEFORE_MS = 15_000;

/** About as many callers as are active within a minute. When full, the coldest is signed anew: some 40 µs. */
const MAX_REMEMBERED = 20_000;
const MAX_REMEMBERED_BYTES = 32 * 1_048_576;
const ENTRY_OVERHEAD_BYTES = 256;
const SIGNED_OVERHEAD_BYTES = 128;
/** Upstreams and sets of claims that one caller uses within a minute. One more is signed anew each time it is used. */
const MAX_AUDIENCES = 16;
