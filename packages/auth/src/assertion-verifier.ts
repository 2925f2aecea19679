import { hash } from "node:crypto";
import { systemRandom, type Clock, type Random } from "@tidegate/clock";
import { ASSERTION_TYPE, readAssertionClaims, type AssertedIdentity } from "./assertion-claims.ts";
import { createBoundedMemory } from "./bounded-memory.ts";
import { KeySet, type KeyLoad } from "./key-set.ts";
import { jwksSource } from "./key-source.ts";
import type { Fetch } from "./remote-json.ts";
import { hasValidSignature } from "./signature.ts";
import { readHeader } from "./token-header.ts";
import { parseToken } from "./token-shape.ts";
import { untilAborted } from "./until-aborted.ts";
import type { VerificationKey } from "./verification-key.ts";

export interface AssertionVerifierOptions {
  /** The gateway's issuer, exactly as it stands in `iss`. */
  readonly issuer: string;
  /** This service's name at the gateway. */
  readonly audience: string;
  /** The gateway's `/.tidegate/jwks.json`; https, or http on a loopback address. */
  readonly jwksUrl: URL;
  readonly clock: Clock;
  readonly fetch?: Fetch;
  readonly random?: Random;
  /** Told about every load of keys, for the log; must not throw. */
  readonly onKeyLoad?: (load: KeyLoad) => void;
}

/** What a service uses to learn who is calling. It trusts nothing else. */
export interface AssertionVerifier extends Disposable {
  /**
   * Checks the value of a `Tidegate-Assertion` field.
   * @throws {AssertionRefused} when it is not good, or cannot be checked now
   * @throws the signal's reason when it is aborted
   */
  verify(token: string, signal: AbortSignal): Promise<AssertedIdentity>;
  /** Whether the gateway's keys are known; for readiness. The first `verify`, or `start`, asks for them. */
  readonly isReady: boolean;
  /** Loads the keys before the first request needs them. */
  start(): void;
}

/**
 * Why an assertion was not accepted. `invalid`: the call did not come through the gateway as it should (401).
 * `unavailable`: the gateway's keys cannot be had now (503 with `Retry-After`), which says nothing about the caller.
 */
export class AssertionRefused extends Error {
  readonly kind: "invalid" | "unavailable";
  /** 0 when coming back does not help. */
  readonly retryAfterMs: number;

  constructor(kind: "invalid" | "unavailable", message: string, retryAfterMs = 0) {
    super(message);
    this.name = "AssertionRefused";
    this.kind = kind;
    this.retryAfterMs = retryAfterMs;
  }
}

export function createAssertionVerifier(options: AssertionVerifierOptions): AssertionVerifier {
  const { issuer, audience, jwksUrl, clock, random = systemRandom, onKeyLoad } = options;
  const fetch = options.fetch ?? globalThis.fetch;
  const keys = new KeySet({
    source: jwksSource(jwksUrl, { clock, fetch }),
    clock,
    random,
    maxKeyAgeMs: MAX_KEY_AGE_MS,
    maxBackOffMs: MAX_BACK_OFF_MS,
    ...(onKeyLoad === undefined ? {} : { onLoad: onKeyLoad }),
  });
  const memory = createBoundedMemory<Remembered>({
    maxEntries: MAX_REMEMBERED,
    maxBytes: MAX_REMEMBERED * 2_048,
  });

  const recall = (digest: string): AssertedIdentity | undefined => {
    const entry = memory.get(digest);
    if (entry === undefined) return undefined;
    const isGood =
      clock.wallMs() < entry.identity.expiresAtMs + TOLERANCE_SECONDS * 1_000 &&
      clock.monotonicMs() < entry.key.trustedUntilMs;
    if (isGood) return entry.identity;
    memory.delete(digest);
    return undefined;
  };

  const check = async (token: string, digest: string): Promise<AssertedIdentity> => {
    const parts = parseToken(token);
    const header = parts && readHeader(parts.header, RULES);
    if (parts === undefined || header === undefined || header.keyId === "") {
      throw new AssertionRefused("invalid", "Cannot accept the assertion: not one of a gateway");
    }
    const answer = await keys.resolve(header.keyId, header.algorithm);
    if (answer.outcome === "unavailable") {
      throw new AssertionRefused(
        "unavailable",
        "Cannot check the assertion: the gateway's keys are out of reach",
        answer.retryAfterMs,
      );
    }
    if (answer.outcome === "unknown") {
      throw new AssertionRefused("invalid", "Cannot accept the assertion: its key is not known");
    }
    if (!(await hasValidSignature(token, answer.key, header.algorithm))) {
      throw new AssertionRefused("invalid", "Cannot accept the assertion: wrong signature");
    }
    const identity = readAssertionClaims(parts.payload, {
      issuer,
      audience,
      nowMs: clock.wallMs(),
      toleranceSeconds: TOLERANCE_SECONDS,
    });
    if (identity === undefined) {
      throw new AssertionRefused(
        "invalid",
        "Cannot accept the assertion: not for this service now",
      );
    }
    memory.set(digest, { identity, key: answer.key }, token.length + ENTRY_OVERHEAD_BYTES);
    return identity;
  };

  return {
    async verify(token, signal) {
      signal.throwIfAborted();
      const digest = hash("sha256", token, "base64url");
      return recall(digest) ?? untilAborted(check(token, digest), signal);
    },
    get isReady() {
      return keys.isReady;
    },
    start: () => keys.start(),
    [Symbol.dispose]() {
      keys[Symbol.dispose]();
      memory.clear();
    },
  };
}

interface Remembered {
  readonly identity: AssertedIdentity;
  readonly key: VerificationKey;
}

const RULES = { algorithms: new Set(["EdDSA"]), types: new Set([ASSERTION_TYPE]) };

/** Clocks of two machines in one data centre differ by less. */
const TOLERANCE_SECONDS = 5;

/** A gateway that was away for an hour must not have cost its services the keys; after that, fail closed. */
const MAX_KEY_AGE_MS = 3_600_000;

/**
 * A service may be up long before its gateway, and an assertion at the door says that the gateway is back: nobody should
 * wait a minute then. The gateway is a neighbour; a question every two seconds is no burden.
 */
const MAX_BACK_OFF_MS = 2_000;

/**
 * Assertions live for a minute and callers share theirs over many calls, so this holds about as many callers at
 * once. When full, the coldest is checked again: some 100 µs.
 */
const MAX_REMEMBERED = 10_000;
const ENTRY_OVERHEAD_BYTES = 512;
