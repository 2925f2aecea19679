import type { Principal } from "./principal.ts";
import type { Revocation, RevocationEntry } from "./revocation.ts";
import { BASIC_ACR } from "./users-file.ts";

/**
 * What is revoked, asked for every call: a few lookups by strings that the principal already holds, nothing allocated,
 * nothing awaited. Every worker has a copy, fed by one bus.
 *
 * It never forgets a revocation that still counts: `add` refuses when it is full, so that whoever revokes learns of it,
 * instead of an older revocation silently coming to nothing.
 */
export class RevocationIndex {
  readonly #tokens: Held = new Map();
  readonly #sessions: Held = new Map();
  readonly #subjects: HeldTimes = new Map();
  readonly #issuedBefore: HeldTimes = new Map();
  readonly #maxEntries: number;
  #size = 0;

  constructor({ maxEntries = MAX_ENTRIES }: { readonly maxEntries?: number } = {}) {
    this.#maxEntries = maxEntries;
  }

  get size(): number {
    return this.#size;
  }

  /**
   * Idempotent. Of two for the same thing the later time and the longer memory count.
   * @returns false when there is no room; nothing is recorded then
   */
  add({ revocation, untilMs }: RevocationEntry): boolean {
    switch (revocation.kind) {
      case "token":
        return this.#hold(this.#tokens, revocation.issuer, revocation.tokenId, untilMs);
      case "session":
        return this.#hold(this.#sessions, revocation.issuer, revocation.sessionId, untilMs);
      case "subject":
        return this.#holdTime(this.#subjects, revocation, untilMs);
      case "issued-before":
        return this.#holdTime(this.#issuedBefore, revocation, untilMs);
    }
  }

  /** Whether a credential of `principal` is refused. */
  refuses(principal: Principal): boolean {
    if (this.#size === 0) return false;
    const { issuer, subject } = principal;
    return (
      this.#tokens.get(issuer)?.has(principal.tokenId) === true ||
      this.#sessions.get(issuer)?.has(principal.sessionId) === true ||
      isSignedInTooEarly(principal, this.#subjects.get(issuer)?.get(subject)) ||
      isIssuedTooEarly(principal, this.#issuedBefore.get(issuer)?.get(subject))
    );
  }

  /**
   * As `refuses`, for a credential that was checked before the newest revocation: a password then counts as shown
   * before it, and has to be checked again.
   */
  refusesEarlier(principal: Principal): boolean {
    if (this.refuses(principal)) return true;
    const { issuer, subject, acr } = principal;
    return acr === BASIC_ACR && this.#subjects.get(issuer)?.has(subject) === true;
  }

  /** Whether so many more fit. */
  hasRoomFor(count: number): boolean {
    return this.#size + count <= this.#maxEntries;
  }

  /** Forgets what no credential can meet any more. @returns how many */
  sweep(nowMs: number): number {
    const before = this.#size;
    for (const held of [this.#tokens, this.#sessions])
      this.#sweepHeld(held, nowMs, (until) => until);
    for (const held of [this.#subjects, this.#issuedBefore])
      this.#sweepHeld(held, nowMs, ({ untilMs }) => untilMs);
    return before - this.#size;
  }

  #hold(held: Held, issuer: string, name: string, untilMs: number): boolean {
    const names = within(held, issuer);
    const known = names.get(name);
    if (known === undefined && !this.#takeRoom()) return false;
    names.set(name, Math.max(known ?? 0, untilMs));
    return true;
  }

  #holdTime(
    held: HeldTimes,
    { issuer, subject, atSeconds }: { issuer: string; subject: string; atSeconds: number },
    untilMs: number,
  ): boolean {
    const subjects = within(held, issuer);
    const known = subjects.get(subject);
    if (known === undefined && !this.#takeRoom()) return false;
    subjects.set(subject, {
      atSeconds: Math.max(known?.atSeconds ?? 0, atSeconds),
      untilMs: Math.max(known?.untilMs ?? 0, untilMs),
    });
    return true;
  }

  #takeRoom(): boolean {
    if (this.#size >= this.#maxEntries) return false;
    this.#size++;
    return true;
  }

  #sweepHeld<Value>(
    held: Map<string, Map<string, Value>>,
    nowMs: number,
    untilOf: (value: Value) => number,
  ): void {
    for (const [issuer, values] of held) {
      for (const [name, value] of values) {
        if (untilOf(value) > nowMs) continue;
        values.delete(name);
        this.#size--;
      }
      if (values.size === 0) held.delete(issuer);
    }
  }
}

/** Whether `principal` is one of those whom `revocation` ends. For sessions that live on: sockets, long answers. */
export function isEndedBy(principal: Principal, revocation: Revocation): boolean {
  if (principal.issuer !== revocation.issuer) return false;
  switch (revocation.kind) {
    case "token":
      return principal.tokenId !== "" && principal.tokenId === revocation.tokenId;
    case "session":
      return principal.sessionId !== "" && principal.sessionId === revocation.sessionId;
    case "subject":
      return (
        principal.subject === revocation.subject &&
        // Whoever is connected by a password is told to show it again.
        (principal.acr === BASIC_ACR || isSignedInTooEarly(principal, revocation))
      );
    case "issued-before":
      return principal.subject === revocation.subject && isIssuedTooEarly(principal, revocation);
  }
}

/**
 * Sign-ins of the five seconds after a revocation are refused too: `auth_time` has whole seconds and the provider's
 * clock is not ours, and a session that began in the same second may be the very one that was to end.
 */
const DOUBTFUL_SECONDS = 5;

function isSignedInTooEarly(
  principal: Principal,
  revoked: { readonly atSeconds: number } | undefined,
): boolean {
  if (revoked === undefined) return false;
  // A password that was checked after the revocation is a sign-in of its own: what is remembered of earlier checks is
  // purged by the revocation, and a check that began before it is repeated.
  if (principal.acr === BASIC_ACR) return false;
  // Nobody signs in with client credentials; each token is a fresh proof, and says when it was given.
  const atSeconds =
    principal.kind === "client" ? principal.issuedAtSeconds : signedInSecondsOf(principal);
  // 0 is "not said", and comes out as too early.
  return atSeconds <= revoked.atSeconds + DOUBTFUL_SECONDS;
}

/**
 * Of a provider that does not say when somebody signed in, the beginning of our own session with them counts: we saw it. A
 * token that somebody merely shows has none, so a stolen one of such a provider stays refused.
 */
function signedInSecondsOf({ authTimeSeconds, sessionCreatedSeconds = 0 }: Principal): number {
  return authTimeSeconds > 0 ? authTimeSeconds : sessionCreatedSeconds;
}

function isIssuedTooEarly(
  principal: Principal,
  revoked: { readonly atSeconds: number } | undefined,
): boolean {
  // A password is no token that could have leaked; a token that does not say when it was issued is refused.
  return (
    revoked !== undefined &&
    principal.acr !== BASIC_ACR &&
    principal.issuedAtSeconds <= revoked.atSeconds
  );
}

/** Issuer → name → wall milliseconds until which it counts. */
type Held = Map<string, Map<string, number>>;
type HeldTimes = Map<string, Map<string, { readonly atSeconds: number; readonly untilMs: number }>>;

function within<Value>(held: Map<string, Map<string, Value>>, issuer: string): Map<string, Value> {
  let values = held.get(issuer);
  if (values === undefined) held.set(issuer, (values = new Map<string, Value>()));
  return values;
}

/** Some 30 MB in each worker. A day in which more sessions are ended one by one than this is an incident of its own. */
const MAX_ENTRIES = 200_000;
