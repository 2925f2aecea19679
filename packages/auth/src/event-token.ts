import { systemRandom, type Clock, type Random } from "@tidegate/clock";
import type { JsonObject } from "./json-object.ts";
import { KeySet, type KeyLoad } from "./key-set.ts";
import { issuerSource } from "./key-source.ts";
import type { Fetch } from "./remote-json.ts";
import { hasValidSignature } from "./signature.ts";
import { normaliseType, readHeader, type SignatureAlgorithm } from "./token-header.ts";
import { parseToken } from "./token-shape.ts";

export interface EventTokenVerifierOptions {
  /** Who speaks: an OpenID provider, or a transmitter of shared signals. Exactly as it stands in `iss`. */
  readonly issuer: string;
  /** What we are called there: for logout tokens our client id, for security events the stream's audience. */
  readonly audience: string;
  readonly algorithms: readonly SignatureAlgorithm[];
  /** Accepted `typ`. */
  readonly tokenTypes: readonly string[];
  readonly clockToleranceSeconds: number;
  /** How long the last good keys count while the issuer cannot be reached. */
  readonly maxKeyAgeMs: number;
  readonly clock: Clock;
  readonly random?: Random;
  readonly fetch?: Fetch;
  /** Told about every load of keys; must not throw. */
  readonly onKeyLoad?: (load: KeyLoad) => void;
}

/** What checking a token that reports an event came to. */
export type EventVerification<Event> =
  | { readonly outcome: "accepted"; readonly event: Event }
  /** `why` goes to the log, and for security events in coarse form to the transmitter (RFC 8935 §2.4). */
  | { readonly outcome: "invalid"; readonly why: EventInvalidWhy }
  | { readonly outcome: "unavailable"; readonly retryAfterMs: number };

export type EventInvalidWhy =
  | "shape"
  | "header"
  | "issuer"
  | "audience"
  | "claims"
  | "untimely"
  | "key-unknown"
  | "signature";

export interface EventTokenVerifier<Event> extends Disposable {
  /** Checks one token. What it reports may have been reported before: whoever asks keeps the `jti`s. */
  verify(text: string): Promise<EventVerification<Event>>;
}

/**
 * Checks signed reports of one issuer. Its keys are looked up apart from those of access tokens: anybody may post here,
 * and made-up key ids must not use up the lookups that good access tokens need.
 * @param read judges the claims; `iss`, `aud` and signature are judged here
 * @throws {Error} when the issuer's URL cannot be used
 */
export function createEventTokenVerifier<Event>(
  options: EventTokenVerifierOptions,
  read: (payload: JsonObject, nowSeconds: number) => Event | EventInvalidWhy,
): EventTokenVerifier<Event> {
  const { issuer, audience, clock, random = systemRandom, maxKeyAgeMs, onKeyLoad } = options;
  const keys = new KeySet({
    source: issuerSource(issuer, { clock, fetch: options.fetch ?? globalThis.fetch }),
    clock,
    random,
    maxKeyAgeMs,
    ...(onKeyLoad === undefined ? {} : { onLoad: onKeyLoad }),
  });
  const headerRules = {
    algorithms: new Set<string>(options.algorithms),
    types: new Set(options.tokenTypes.map((type) => normaliseType(type) ?? type)),
  };
  let checking = 0;

  const check = async (text: string): Promise<EventVerification<Event>> => {
    const parts = parseToken(text);
    if (parts === undefined) return invalidEvent("shape");
    const header = readHeader(parts.header, headerRules);
    if (header === undefined) return invalidEvent("header");
    if (parts.payload["iss"] !== issuer) return invalidEvent("issuer");
    if (!isOnlyFor(parts.payload["aud"], audience)) return invalidEvent("audience");
    const event = read(parts.payload, clock.wallMs() / 1_000);
    if (typeof event === "string") return invalidEvent(event as EventInvalidWhy);
    const answer = await keys.resolve(header.keyId, header.algorithm);
    if (answer.outcome === "unavailable") return answer;
    if (answer.outcome === "unknown") return invalidEvent("key-unknown");
    if (!(await hasValidSignature(text, answer.key, header.algorithm)))
      return invalidEvent("signature");
    return { outcome: "accepted", event };
  };

  return {
    async verify(text) {
      if (checking >= MAX_CHECKING) return { outcome: "unavailable", retryAfterMs: RETRY_AFTER_MS };
      checking++;
      try {
        return await check(text);
      } finally {
        checking--;
      }
    },
    [Symbol.dispose]: () => keys[Symbol.dispose](),
  };
}

/**
 * Reports that are checked at once. A provider sends them one after the other; more is a flood, and its signatures
 * would take the time of everybody else's. Whoever is turned away is told to come back.
 */
const MAX_CHECKING = 32;
const RETRY_AFTER_MS = 1_000;

/** One audience, ours: a report for several receivers can be played by one of them to the others. */
function isOnlyFor(aud: unknown, audience: string): boolean {
  if (aud === audience) return true;
  return Array.isArray(aud) && aud.length === 1 && aud[0] === audience;
}

const invalidEvent = (
  why: EventInvalidWhy,
): { readonly outcome: "invalid"; readonly why: EventInvalidWhy } => ({ outcome: "invalid", why });
