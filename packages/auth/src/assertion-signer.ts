import { sign } from "node:crypto";
import type { Clock, Random } from "@tidegate/clock";
import { ASSERTION_LIFETIME_SECONDS, ASSERTION_TYPE } from "./assertion-claims.ts";
import type { AssertionKeys } from "./assertion-keys.ts";
import { createBoundedMemory } from "./bounded-memory.ts";
import type { Principal } from "./principal.ts";

export interface AssertionSignerOptions {
  /** `iss` of the assertions: the gateway's public URL. */
  readonly issuer: string;
  readonly keys: AssertionKeys;
  readonly clock: Clock;
  readonly random: Random;
}

/** Makes the value of `Tidegate-Assertion`. */
export interface AssertionSigner {
  /**
   * Synchronous. Remembered per credential and upstream, and signed anew when the principal was replaced or less
   * than 15 s are left.
   * @param fingerprint stands for the credential; empty for anonymous callers
   * @param upstream the audience: the upstream's name
   */
  assertion(principal: Principal, fingerprint: string, upstream: string): string;
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
    assertion(principal, fingerprint, upstream) {
      // Neither part can hold a blank, so no two pairs make one key.
      const key = `${upstream} ${fingerprint}`;
      const nowMs = clock.wallMs();
      const remembered = memory.get(key);
      // A principal is frozen and replaced whole, so the same object means the same session, scopes, level and
      // time of sign-in; comparing it costs nothing and can miss no member.
      if (
        remembered !== undefined &&
        remembered.principal === principal &&
        nowMs < remembered.signAgainAtMs &&
        nowMs >= remembered.signedAtMs // the clock was set back: `iat` would lie in the future
      ) {
        return remembered.token;
      }
      const fresh = signAssertion({ issuer, keys, random, principal, upstream, nowMs });
      memory.set(key, fresh, fresh.token.length + key.length + ENTRY_OVERHEAD_BYTES);
      return fresh.token;
    },
    clear: () => memory.clear(),
  };
}

interface Remembered {
  readonly principal: Principal;
  readonly token: string;
  readonly signedAtMs: number;
  readonly signAgainAtMs: number;
}

function signAssertion({
  issuer,
  keys,
  random,
  principal,
  upstream,
  nowMs,
}: {
  readonly issuer: string;
  readonly keys: AssertionKeys;
  readonly random: Random;
  readonly principal: Principal;
  readonly upstream: string;
  readonly nowMs: number;
}): Remembered {
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
      ...describe(principal),
    },
    (input) => sign(null, input, key.privateKey),
  );
  // An assertion cut short by its credential cannot be made longer: signing again would only cost.
  const isCutShort = expiresSeconds === credentialEndsSeconds;
  const signAgainAtMs = expiresSeconds * 1_000 - (isCutShort ? 0 : SIGN_AGAIN_BEFORE_MS);
  return { principal, token, signedAtMs: nowMs, signAgainAtMs };
}

/** Claims of the caller. What is not known is left out; an anonymous caller has none. */
function describe(principal: Principal): Record<string, string | number> {
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
