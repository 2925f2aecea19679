import { createHmac } from "node:crypto";
import { systemRandom, type Clock, type Random } from "@tidegate/clock";
import { isForUs } from "./access-token-claims.ts";
import { createAttemptBackOff } from "./attempt-back-off.ts";
import { parseBasicCredentials, type BasicCredentials } from "./basic-credentials.ts";
import { createBoundedMemory } from "./bounded-memory.ts";
import { createCallBreaker } from "./call-breaker.ts";
import { authenticatedForm, type ClientCredentials } from "./client-authentication.ts";
import type { HashingPool } from "./hashing-pool.ts";
import { isJsonObject } from "./json-object.ts";
import { readNumericDate } from "./numeric-date.ts";
import type { PasswordVerifier } from "./password-verifier.ts";
import { readPrincipal, type ClaimNames } from "./principal-claims.ts";
import type { Principal } from "./principal.ts";
import { readProfile } from "./profile.ts";
import { assertTrustworthy, fetchJson, HttpStatusError, type Fetch } from "./remote-json.ts";
import { untilAborted } from "./until-aborted.ts";
import { BASIC_ACR } from "./users-file.ts";
import { invalid, type Accepted, type InvalidWhy, type Verification } from "./verification.ts";

export interface ProviderPasswordVerifierOptions extends ClaimNames {
  /** The audience of the provider's tokens; what an answer says about it must fit. */
  readonly audience: string;
  readonly otherAudiences: readonly string[];
  readonly endpoint: string;
  readonly client: ClientCredentials;
  readonly timeoutMs: number;
  /** How long a good pair counts; at most a minute. */
  readonly rememberMs: number;
  /** Bounds the questions at once, and those that wait. */
  readonly pool: HashingPool;
  readonly clock: Clock;
  readonly random?: Random;
  readonly fetch?: Fetch;
  /** Told when the provider begins not to answer, and when it answers again (undefined); must not throw. */
  readonly onOutage?: (error: Error | undefined) => void;
}

/**
 * Checks HTTP Basic by asking a provider: `POST` with `username`, `password` and `address` (the caller's, for the
 * provider's own back-off) as a form, client-authenticated, answered in the form of RFC 7662. Its people are those of its
 * tokens. Belongs on one thread of a machine, as everything that counts guesses.
 * @throws {Error} when the endpoint's URL cannot be used
 */
export function createProviderPasswordVerifier(
  options: ProviderPasswordVerifierOptions,
): PasswordVerifier {
  const { issuer, client, timeoutMs, pool, clock, random = systemRandom } = options;
  const fetch = options.fetch ?? globalThis.fetch;
  const endpoint = new URL(options.endpoint);
  assertTrustworthy(endpoint);
  const rememberMs = Math.min(options.rememberMs, MAX_REMEMBER_MS);
  // As in `password-verifier.ts`: neither a dump nor an outsider can search the table.
  const secret = random.bytes(32);
  const digestOf = (text: string): string =>
    createHmac("sha256", secret).update(text).digest("base64url");
  const memory = createBoundedMemory<Remembered>({
    maxEntries: MAX_REMEMBERED,
    maxBytes: MAX_REMEMBERED * ENTRY_BYTES,
  });
  const backOff = createAttemptBackOff(clock);
  const breaker = createCallBreaker({ clock, random });
  /** At most as many as the pool holds. */
  const inFlight = new Map<string, Promise<Verification>>();
  /** Rises when everything is forgotten: a check that began before is neither remembered nor shared any more. */
  let epoch = 0;

  const recall = (digest: string): Remembered | undefined => {
    const entry = memory.get(digest);
    if (entry === undefined || clock.monotonicMs() < entry.untilMs) return entry;
    memory.delete(digest);
    return undefined;
  };

  const check = async (
    { user, password }: BasicCredentials,
    { digest, pair, network, cameMs }: Asker,
  ): Promise<Verification> => {
    // A provider that hangs must not make the queue a long wait.
    if (clock.monotonicMs() - cameMs > timeoutMs) return withoutAnswer(pair, SHORTEST_RETRY_MS);
    // It may have opened while this one queued.
    const waitMs = breaker.waitMs();
    if (waitMs > 0) return withoutAnswer(pair, waitMs);
    const askedMs = clock.monotonicMs();
    const begunIn = epoch;
    let answer: unknown;
    try {
      // Of IPv6 the network is the first half of an address.
      const address = network.includes(":") ? network.replace(/\/\d+$/, "::") : network;
      const form = authenticatedForm({ username: user, password, address }, client);
      // Nobody waits for it any more when the process stops; its deadline ends it.
      answer = await fetchJson(endpoint, { fetch, clock, signal: NEVER_ABORTED, form, timeoutMs });
    } catch (error) {
      return failed(error instanceof Error ? error : new Error(String(error)), pair);
    }
    const read = readAnswer(answer, { rules: options, nowMs: clock.wallMs() });
    if (read === undefined)
      return failed(
        new Error(`Cannot use the answer of ${issuer}: not an answer about a password`),
        pair,
      );
    settled();
    if (typeof read === "string") return invalid(read);
    backOff.clear(pair);
    const { principal, countsUntilMs } = read;
    const accepted: Accepted = { outcome: "accepted", principal, fingerprint: digest };
    const leftMs = countsUntilMs - clock.wallMs();
    const untilMs = askedMs + Math.min(rememberMs, leftMs);
    if (epoch === begunIn) memory.set(digest, { accepted, untilMs }, ENTRY_BYTES);
    return accepted;
  };

  const settled = (): void => {
    if (breaker.isOpen) options.onOutage?.(undefined);
    breaker.succeeded();
  };

  const failed = (error: Error, pair: string): Verification => {
    const { status, retryAfterMs } =
      error.cause instanceof HttpStatusError ? error.cause : NO_STATUS;
    // It answers; it will not look at this pair, or at anybody's, now.
    if (status === 429 || status === 503) {
      settled();
      const waitMs = Math.max(SHORTEST_RETRY_MS, retryAfterMs);
      if (status === 429) return { outcome: "backed-off", retryAfterMs: waitMs };
      backOff.refund(pair);
      return { outcome: "busy", retryAfterMs: waitMs };
    }
    const wasOpen = breaker.isOpen;
    breaker.failed();
    if (!wasOpen && breaker.isOpen) options.onOutage?.(error);
    return withoutAnswer(pair, SHORTEST_RETRY_MS);
  };

  const withoutAnswer = (pair: string, waitMs: number): Verification => {
    backOff.refund(pair);
    return { outcome: "unavailable", retryAfterMs: Math.max(SHORTEST_RETRY_MS, waitMs) };
  };

  return {
    issuer,
    rememberedUntilMs: (fingerprint) => recall(fingerprint)?.untilMs ?? 0,
    forget() {
      epoch++;
      memory.clear();
      inFlight.clear();
    },
    verify({ text, network, mayVerify }, signal) {
      const digest = digestOf(text);
      const remembered = recall(digest);
      if (remembered !== undefined) return remembered.accepted;
      const credentials = parseBasicCredentials(text);
      if (credentials === undefined) return invalid("shape");
      const shared = inFlight.get(digest);
      if (shared !== undefined) return untilAborted(shared, signal);
      const pair = `${network} ${digestOf(credentials.user)}`;
      const waitMs = backOff.waitMs(pair);
      if (waitMs > 0) return { outcome: "backed-off", retryAfterMs: waitMs };
      if (mayVerify?.() === false) return { outcome: "busy", retryAfterMs: SHORTEST_RETRY_MS };
      const asker: Asker = { digest, pair, network, cameMs: clock.monotonicMs() };
      const flight = pool.run(() => check(credentials, asker));
      if (flight === undefined) return { outcome: "busy", retryAfterMs: SHORTEST_RETRY_MS };
      backOff.charge(pair);
      const shareable = flight.finally(() => {
        // After `forget` another one may stand there.
        if (inFlight.get(digest) === shareable) inFlight.delete(digest);
      });
      inFlight.set(digest, shareable);
      return untilAborted(shareable, signal);
    },
  };
}

/** @returns the person; why the pair is not accepted; or undefined when the answer is none */
function readAnswer(
  answer: unknown,
  { rules, nowMs }: { readonly rules: ProviderPasswordVerifierOptions; readonly nowMs: number },
): PersonRead | InvalidWhy | undefined {
  if (!isJsonObject(answer) || typeof answer["active"] !== "boolean") return undefined;
  if (!answer["active"]) return "password";
  // A person is (issuer, subject): who is not said to be this provider's is nobody.
  const { iss, aud, exp, sub } = answer;
  if (iss !== rules.issuer) return "issuer";
  if (aud !== undefined && !isForUs(aud, rules)) return "audience";
  const expiresSeconds = exp === undefined ? LAST_SECOND : readNumericDate(exp);
  if (expiresSeconds === undefined || typeof sub !== "string") return "claims";
  if (nowMs >= expiresSeconds * 1_000) return "expired";
  const principal = readPrincipal(
    // Whoever asked is no client of the person's; what else the answer says does not hold for passwords.
    { ...readProfile(answer), sub, scope: answer["scope"], client_id: "basic" },
    {
      type: "",
      rules: { ...rules, scopeClaim: "scope", clientClaim: "client_id" },
      expiresSeconds,
      issuedSeconds: 0,
      nowMs,
    },
  );
  if (typeof principal === "string") return principal;
  const person: Principal = Object.freeze({
    ...principal,
    kind: "person",
    client: "",
    // Nobody knows when the person typed it: programs and browsers send it again and again.
    acr: BASIC_ACR,
    authTimeSeconds: 0,
    // The password does not end with the answer about it, and the same person must look the same next time.
    expiresAtMs: Number.POSITIVE_INFINITY,
  });
  return { principal: person, countsUntilMs: expiresSeconds * 1_000 };
}

interface PersonRead {
  readonly principal: Principal;
  /** Wall time until which the answer says it holds. */
  readonly countsUntilMs: number;
}

/** Who asks, and since when (monotonic). */
interface Asker {
  readonly digest: string;
  readonly pair: string;
  readonly network: string;
  readonly cameMs: number;
}

interface Remembered {
  readonly accepted: Accepted;
  /** Monotonic. */
  readonly untilMs: number;
}

const NEVER_ABORTED = new AbortController().signal;
const NO_STATUS = { status: 0, retryAfterMs: 0 };
const MAX_REMEMBER_MS = 60_000;
/** People active within a minute. When full, the coldest is asked about again. */
const MAX_REMEMBERED = 10_000;
const ENTRY_BYTES = 1_024;
const SHORTEST_RETRY_MS = 1_000;
/** The year 9999. */
const LAST_SECOND = 253_402_300_799;
