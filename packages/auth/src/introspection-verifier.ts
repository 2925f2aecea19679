import { systemRandom, type Clock, type Random } from "@tidegate/clock";
import { createBoundedMemory } from "./bounded-memory.ts";
import { createCallBreaker } from "./call-breaker.ts";
import { authenticatedForm, type ClientCredentials } from "./client-authentication.ts";
import { readIntrospection, type AnswerRules } from "./introspection-answer.ts";
import { assertIssuer, endpointOf, fetchMetadata } from "./provider-metadata.ts";
import { assertTrustworthy, fetchJson, type Fetch } from "./remote-json.ts";
import { untilAborted } from "./until-aborted.ts";
import { invalid, type Accepted, type Verification } from "./verification.ts";

export interface IntrospectionVerifierOptions extends AnswerRules {
  /** Default: by the provider's metadata. */
  readonly endpoint?: string | undefined;
  readonly client: ClientCredentials;
  readonly timeoutMs: number;
  /** How long a good answer counts, at most until the token's `exp`. */
  readonly rememberMs: number;
  /** How long a refusal counts. */
  readonly rememberRefusedMs: number;
  /** Questions at once; further ones are `busy`. */
  readonly maxInFlight: number;
  readonly clock: Clock;
  readonly random?: Random;
  readonly fetch?: Fetch;
  /** Told when the provider begins not to answer, and when it answers again (undefined); must not throw. */
  readonly onOutage?: (error: Error | undefined) => void;
}

/**
 * Checks access tokens by asking their provider (RFC 7662). However many callers come and whatever the provider does:
 * one question per token at a time, a bounded number at once, each with a deadline, none while it does not answer.
 */
export interface IntrospectionVerifier extends Disposable {
  readonly issuer: string;
  /** What is remembered about the token, without waiting. */
  recall(fingerprint: string): Accepted | undefined;
  /**
   * @param asker.isFresh do not use what is remembered
   * @throws the signal's reason when it is aborted
   */
  verify(
    token: { readonly text: string; readonly fingerprint: string },
    asker: {
      readonly network: string;
      readonly isFresh: boolean;
      readonly signal: AbortSignal;
    },
  ): Verification | Promise<Verification>;
  /** Whether the provider answers, as far as it was asked. */
  readonly isCurrent: boolean;
}

/** @throws {Error} when the issuer's or the endpoint's URL cannot be used */
export function createIntrospectionVerifier(
  options: IntrospectionVerifierOptions,
): IntrospectionVerifier {
  const { issuer, clock, client, timeoutMs, random = systemRandom } = options;
  const fetch = options.fetch ?? globalThis.fetch;
  assertIssuer(issuer);
  const stop = new AbortController();
  const findEndpoint = endpointFinder(options, { fetch, signal: stop.signal });
  const breaker = createCallBreaker({ clock, random });
  const good = createBoundedMemory<Remembered<Accepted>>({
    maxEntries: MAX_REMEMBERED,
    maxBytes: MAX_REMEMBERED * ENTRY_BYTES,
  });
  // Small and apart: made-up tokens must not drive good ones out.
  const refused = createBoundedMemory<Remembered<Verification>>({
    maxEntries: MAX_REFUSED,
    maxBytes: MAX_REFUSED * ENTRY_BYTES,
  });
  /** At most `maxInFlight`. */
  const inFlight = new Map<string, Promise<Verification>>();
  /** Questions in flight by network; as many entries at most. */
  const asking = new Map<string, number>();
  const maxPerNetwork = Math.max(1, Math.floor(options.maxInFlight / NETWORK_PART));

  const recall = (fingerprint: string): Accepted | undefined => {
    const entry = good.get(fingerprint);
    if (entry === undefined) return undefined;
    const isOver = clock.wallMs() >= entry.value.principal.expiresAtMs;
    if (clock.monotonicMs() < entry.untilMs && !isOver) return entry.value;
    good.delete(fingerprint);
    return undefined;
  };

  const recallRefused = (fingerprint: string): Verification | undefined => {
    const entry = refused.get(fingerprint);
    return entry !== undefined && clock.monotonicMs() < entry.untilMs ? entry.value : undefined;
  };

  const ask = async (token: string, fingerprint: string): Promise<Verification> => {
    // Read before the answer is on its way: it is as old as the question.
    const askedMs = clock.monotonicMs();
    let answer: unknown;
    try {
      const form = authenticatedForm({ token, token_type_hint: "access_token" }, client);
      const endpoint = await findEndpoint();
      answer = await fetchJson(endpoint, { fetch, clock, signal: stop.signal, form, timeoutMs });
    } catch (error) {
      return failed(error instanceof Error ? error : new Error(String(error)));
    }
    const principal = readIntrospection(answer, { rules: options, nowMs: clock.wallMs() });
    if (principal === undefined)
      return failed(new Error(`Cannot use the answer of ${issuer}: not an introspection answer`));
    if (breaker.isOpen) options.onOutage?.(undefined);
    breaker.succeeded();
    if (typeof principal === "string") {
      const verdict = invalid(principal);
      good.delete(fingerprint);
      refused.set(
        fingerprint,
        { value: verdict, untilMs: askedMs + options.rememberRefusedMs },
        ENTRY_BYTES,
      );
      return verdict;
    }
    const accepted: Accepted = { outcome: "accepted", principal, fingerprint };
    good.set(fingerprint, { value: accepted, untilMs: askedMs + options.rememberMs }, ENTRY_BYTES);
    return accepted;
  };

  const failed = (error: Error): Verification => {
    const wasOpen = breaker.isOpen;
    breaker.failed();
    if (!wasOpen && breaker.isOpen) options.onOutage?.(error);
    return unavailable(SHORTEST_RETRY_MS);
  };

  return {
    issuer,
    recall,
    verify({ text, fingerprint }, { network, isFresh, signal }) {
      const shared = inFlight.get(fingerprint);
      if (shared !== undefined) return untilAborted(shared, signal);
      const remembered = isFresh ? undefined : (recall(fingerprint) ?? recallRefused(fingerprint));
      if (remembered !== undefined) return remembered;
      const mine = asking.get(network) ?? 0;
      // One address with made-up tokens must not take all places.
      if (inFlight.size >= options.maxInFlight || mine >= maxPerNetwork)
        return { outcome: "busy", retryAfterMs: SHORTEST_RETRY_MS };
      const waitMs = breaker.waitMs();
      if (waitMs > 0) return unavailable(Math.max(SHORTEST_RETRY_MS, waitMs));

      asking.set(network, mine + 1);
      const flight = ask(text, fingerprint).finally(() => {
        inFlight.delete(fingerprint);
        const left = (asking.get(network) ?? 1) - 1;
        if (left > 0) asking.set(network, left);
        else asking.delete(network);
      });
      inFlight.set(fingerprint, flight);
      return untilAborted(flight, signal);
    },
    get isCurrent() {
      return !breaker.isOpen;
    },
    [Symbol.dispose]: () => stop.abort(),
  };
}

/** Finds where to ask: as configured, or by the metadata, which is asked for again now and then. */
function endpointFinder(
  { endpoint, issuer, clock, timeoutMs }: IntrospectionVerifierOptions,
  means: { readonly fetch: Fetch; readonly signal: AbortSignal },
): () => Promise<URL> {
  if (endpoint !== undefined) {
    const url = new URL(endpoint);
    assertTrustworthy(url);
    return () => Promise.resolve(url);
  }
  let known: URL | undefined;
  let askAgainAtMs = Number.NEGATIVE_INFINITY;
  let loading: Promise<URL> | undefined;
  const load = async (): Promise<URL> => {
    const metadata = await fetchMetadata(issuer, { ...means, clock, timeoutMs });
    const url = endpointOf(metadata, "introspection_endpoint", issuer);
    if (url === undefined)
      throw new Error(
        `Cannot ask ${issuer} about tokens: its metadata has no introspection_endpoint`,
      );
    known = url;
    askAgainAtMs = clock.monotonicMs() + METADATA_COUNTS_MS;
    return url;
  };
  return () => {
    if (known !== undefined && clock.monotonicMs() < askAgainAtMs) return Promise.resolve(known);
    loading ??= load().finally(() => (loading = undefined));
    return loading;
  };
}

interface Remembered<Value> {
  readonly value: Value;
  /** Monotonic. */
  readonly untilMs: number;
}

const unavailable = (retryAfterMs: number): Verification => ({
  outcome: "unavailable",
  retryAfterMs,
});

/** Callers active within half a minute, for one provider and one worker. When full, the coldest is asked about again. */
const MAX_REMEMBERED = 20_000;
const MAX_REFUSED = 4_096;
const ENTRY_BYTES = 1_536;
/** One network may have this part of the questions at once. */
const NETWORK_PART = 8;
const SHORTEST_RETRY_MS = 1_000;
const METADATA_COUNTS_MS = 600_000;
