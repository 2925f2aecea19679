import { systemRandom, type Clock, type Random } from "@tidegate/clock";
import { readAccessToken, type AccessTokenRules } from "./access-token-claims.ts";
import type { ClaimNames } from "./principal-claims.ts";
import { KeySet, type KeyLoad } from "./key-set.ts";
import { issuerSource } from "./key-source.ts";
import type { Fetch } from "./remote-json.ts";
import { hasValidSignature } from "./signature.ts";
import { normaliseType, readHeader, type SignatureAlgorithm } from "./token-header.ts";
import { createTokenMemory } from "./token-memory.ts";
import type { TokenParts } from "./token-shape.ts";
import { untilAborted } from "./until-aborted.ts";
import { invalid, type Accepted, type Verification } from "./verification.ts";

export interface AccessTokenVerifierOptions extends ClaimNames {
  /** Issuer URL, exactly as it stands in `iss`; https, or http on a loopback address. */
  readonly issuer: string;
  readonly audience: string;
  /** Further audiences that a token may name beside `audience`. Default: none. */
  readonly otherAudiences?: readonly string[];
  readonly algorithms: readonly SignatureAlgorithm[];
  /** Accepted `typ`; `absent` stands for tokens without one. */
  readonly tokenTypes: readonly string[];
  readonly maxTokenLifetimeSeconds: number;
  /** How long the last good keys count while the issuer cannot be reached. */
  readonly maxKeyAgeMs: number;
  readonly clock: Clock;
  readonly random?: Random;
  readonly fetch?: Fetch;
  /** Told about every load of keys, for log and health; must not throw. */
  readonly onKeyLoad?: (load: KeyLoad) => void;
}

/** Checks the JWT access tokens of one issuer for one audience. */
export interface AccessTokenVerifier extends Disposable {
  readonly issuer: string;
  /** What is remembered about the token, without waiting. Asked for every call. */
  recall(fingerprint: string): Accepted | undefined;
  /**
   * Checks a token that is not remembered. One check per token at a time: callers that come meanwhile share it.
   * @param token its text, from which `parts` were parsed and `fingerprint` was made
   * @throws the signal's reason when it is aborted
   */
  verify(token: PresentedToken, signal: AbortSignal): Verification | Promise<Verification>;
  /** Begins to load the issuer's keys in the background. */
  start(): void;
  /** Whether tokens can be verified now. */
  readonly isReady: boolean;
  /** Whether the issuer answered when it was last asked for keys; false means that we live on what we have. */
  readonly isCurrent: boolean;
}

export interface PresentedToken {
  readonly text: string;
  readonly parts: TokenParts;
  readonly fingerprint: string;
}

/** @throws {Error} when the issuer's URL cannot be used */
export function createAccessTokenVerifier(
  options: AccessTokenVerifierOptions,
): AccessTokenVerifier {
  const { issuer, clock, random = systemRandom, maxKeyAgeMs, onKeyLoad } = options;
  const fetch = options.fetch ?? globalThis.fetch;
  const keys = new KeySet({
    source: issuerSource(issuer, { clock, fetch }),
    clock,
    random,
    maxKeyAgeMs,
    ...(onKeyLoad === undefined ? {} : { onLoad: onKeyLoad }),
  });
  const headerRules = {
    algorithms: new Set<string>(options.algorithms),
    types: new Set(options.tokenTypes.map((type) => normaliseType(type) ?? type)),
  };
  const rules: AccessTokenRules = {
    ...options,
    otherAudiences: options.otherAudiences ?? [],
    maxLifetimeSeconds: options.maxTokenLifetimeSeconds,
  };
  const memory = createTokenMemory(clock);
  const inFlight = new Map<string, Promise<Verification>>();

  const check = async (
    { text }: PresentedToken,
    { keyId, algorithm }: { readonly keyId: string; readonly algorithm: SignatureAlgorithm },
    accepted: Accepted,
  ): Promise<Verification> => {
    const answer = await keys.resolve(keyId, algorithm);
    if (answer.outcome === "unavailable") return answer;
    if (answer.outcome === "unknown") return invalid("key-unknown");
    const { key } = answer;
    if (!(await hasValidSignature(text, key, algorithm))) return invalid("signature");
    // The key may have left the set while the signature was checked.
    if (clock.monotonicMs() >= key.trustedUntilMs) return invalid("key-unknown");
    if (clock.wallMs() < accepted.principal.expiresAtMs)
      memory.remember(accepted, key, text.length);
    return accepted;
  };

  return {
    issuer,
    recall: (fingerprint) => memory.recall(fingerprint),
    verify(token, signal) {
      const { parts, fingerprint } = token;
      const shared = inFlight.get(fingerprint);
      if (shared !== undefined) return untilAborted(shared, signal);

      const header = readHeader(parts.header, headerRules);
      if (header === undefined) return invalid("header");
      // Claims before the signature: what is refused anyway costs neither a key lookup nor a signature check.
      const principal = readAccessToken(parts.payload, {
        type: header.type,
        rules,
        nowMs: clock.wallMs(),
      });
      if (typeof principal === "string") return invalid(principal);
      if (inFlight.size >= MAX_IN_FLIGHT) return { outcome: "busy", retryAfterMs: RETRY_AFTER_MS };

      const flight = check(token, header, { outcome: "accepted", principal, fingerprint }).finally(
        () => inFlight.delete(fingerprint),
      );
      inFlight.set(fingerprint, flight);
      return untilAborted(flight, signal);
    },
    start: () => keys.start(),
    get isReady() {
      return keys.isReady;
    },
    get isCurrent() {
      return keys.isCurrent;
    },
    [Symbol.dispose]: () => keys[Symbol.dispose](),
  };
}

/**
 * Tokens being checked at once, as many as a worker serves requests: at a cold start all of them may wait for the
 * first load of keys. Further ones are refused as busy.
 */
const MAX_IN_FLIGHT = 4_096;
const RETRY_AFTER_MS = 1_000;
