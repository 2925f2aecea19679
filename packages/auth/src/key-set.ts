import type { Clock, Random, Timer } from "@tidegate/clock";
import type { KeySource } from "./key-source.ts";
import type { SignatureAlgorithm } from "./token-header.ts";
import type { VerificationKey } from "./verification-key.ts";

/** What looking for a key came to. */
export type KeyAnswer =
  | { readonly outcome: "found"; readonly key: VerificationKey }
  /** The issuer answers, and has no such key. */
  | { readonly outcome: "unknown" }
  /** The issuer cannot be asked now, so nothing can be said about the token. */
  | { readonly outcome: "unavailable"; readonly retryAfterMs: number };

export interface KeySetOptions {
  readonly source: KeySource;
  readonly clock: Clock;
  readonly random: Random;
  /** How long the last good keys count while the issuer cannot be reached. */
  readonly maxKeyAgeMs: number;
  /** Longest pause between attempts while the issuer does not answer. Default: a minute. */
  readonly maxBackOffMs?: number;
  /** Told about every load; must not throw. */
  readonly onLoad?: (load: KeyLoad) => void;
}

/** One finished attempt to load keys. */
export interface KeyLoad {
  readonly keyCount: number;
  readonly refused: readonly string[];
  readonly error: unknown;
}

/**
 * The keys of one issuer, kept fresh in the background. Three duties, each against a failure seen elsewhere:
 * known keys are found synchronously and never wait for a load, whatever unknown key ids arrive; the issuer is
 * asked at most once per cool-down, failures included, with back-off; the last good keys stay for `maxKeyAgeMs`
 * while it is down.
 */
export class KeySet {
  readonly #options: KeySetOptions;
  readonly #stop = new AbortController();
  /** Written whole by a good load. At most 64. */
  #keys: readonly VerificationKey[] = [];
  /** Whether the latest attempt was good. */
  #isCurrent = false;
  #failures = 0;
  /** Monotonic time before which nobody makes us ask again. */
  #nextAttemptAtMs = Number.NEGATIVE_INFINITY;
  #loading: Promise<void> | undefined;
  /** Callers that wait for the load in flight. */
  #waiting = 0;
  #timer: Timer | undefined;

  constructor(options: KeySetOptions) {
    this.#options = options;
  }

  /** Begins to load in the background; safe to call again. */
  start(): void {
    if (this.#timer === undefined && this.#loading === undefined) void this.#load();
  }

  /** Whether there are keys that count now. */
  get isReady(): boolean {
    const nowMs = this.#options.clock.monotonicMs();
    return this.#keys.some((key) => key.trustedUntilMs > nowMs);
  }

  /** Whether the issuer answered when it was last asked. */
  get isCurrent(): boolean {
    return this.#isCurrent;
  }

  /** The one key that fits, without waiting. With no key id there must be exactly one that fits. */
  find(keyId: string, algorithm: SignatureAlgorithm): VerificationKey | undefined {
    const nowMs = this.#options.clock.monotonicMs();
    let found: VerificationKey | undefined;
    for (const key of this.#keys) {
      if (key.trustedUntilMs <= nowMs || !key.algorithms.has(algorithm)) continue;
      if (keyId !== "" && key.keyId !== keyId) continue;
      // Two that fit: which one signed would be a guess, and every guess costs a signature check.
      if (found !== undefined) return undefined;
      found = key;
    }
    return found;
  }

  /**
   * Finds a key, asking the issuer when it is not known and the cool-down allows.
   * Never rejects. Waits at most as long as one load takes.
   */
  async resolve(keyId: string, algorithm: SignatureAlgorithm): Promise<KeyAnswer> {
    const known = this.find(keyId, algorithm);
    if (known !== undefined) return { outcome: "found", key: known };

    const { clock } = this.#options;
    if (this.#loading === undefined && clock.monotonicMs() < this.#nextAttemptAtMs) {
      return this.#answerWithout();
    }
    // A flood of made-up key ids must not hold many callers in memory while a slow issuer answers. At a cold
    // start everybody waits for the same first load.
    if (this.#waiting >= (this.isReady ? MAX_WAITING : MAX_WAITING_COLD)) {
      return { outcome: "unavailable", retryAfterMs: RETRY_AFTER_MS };
    }
    this.#waiting++;
    try {
      await this.#load();
    } finally {
      this.#waiting--;
    }
    const loaded = this.find(keyId, algorithm);
    return loaded === undefined ? this.#answerWithout() : { outcome: "found", key: loaded };
  }

  [Symbol.dispose](): void {
    this.#timer?.cancel();
    this.#stop.abort();
  }

  #answerWithout(): KeyAnswer {
    // While the issuer is silent, or says that it has no usable key at all, the token may well be good.
    if (this.#isCurrent && this.isReady) return { outcome: "unknown" };
    const leftMs = this.#nextAttemptAtMs - this.#options.clock.monotonicMs();
    return { outcome: "unavailable", retryAfterMs: Math.max(RETRY_AFTER_MS, Math.ceil(leftMs)) };
  }

  /** One load at a time; everybody who asks meanwhile shares it. Never rejects. */
  #load(): Promise<void> {
    this.#loading ??= this.#loadOnce().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #loadOnce(): Promise<void> {
    const { source, onLoad, maxBackOffMs = MAX_BACK_OFF_MS } = this.#options;
    let nextLoadMs: number;
    this.#timer?.cancel();
    try {
      const { keys, refused } = await source.load(this.#stop.signal);
      this.#adopt(keys);
      nextLoadMs = this.#jittered(RELOAD_INTERVAL_MS);
      onLoad?.({ keyCount: keys.length, refused, error: undefined });
    } catch (error) {
      this.#isCurrent = false;
      // 1 s, 2 s, 4 s … 60 s: soon back after a restart of the provider, no burden during an outage.
      const backOffMs = Math.min(maxBackOffMs, 1_000 * 2 ** Math.min(this.#failures, 10));
      this.#failures++;
      nextLoadMs = this.#jittered(backOffMs);
      this.#nextAttemptAtMs = this.#options.clock.monotonicMs() + nextLoadMs;
      onLoad?.({ keyCount: this.#keys.length, refused: [], error });
    }
    if (!this.#stop.signal.aborted) {
      this.#timer = this.#options.clock.after(nextLoadMs, () => void this.#load());
    }
  }

  #adopt(loaded: readonly VerificationKey[]): void {
    const nowMs = this.#options.clock.monotonicMs();
    const before = new Map(this.#keys.map((key) => [identityOf(key), key]));
    const keys = new Map<string, VerificationKey>();
    for (const fresh of loaded) {
      // The object of before is kept, so that remembered tokens that point at it live on.
      const key = before.get(identityOf(fresh)) ?? fresh;
      key.trustedUntilMs = nowMs + this.#options.maxKeyAgeMs;
      keys.set(identityOf(fresh), key);
    }
    for (const [identity, key] of before) {
      if (!keys.has(identity)) key.trustedUntilMs = Number.NEGATIVE_INFINITY;
    }
    this.#keys = [...keys.values()];
    this.#isCurrent = true;
    this.#failures = 0;
    this.#nextAttemptAtMs = nowMs + COOL_DOWN_MS;
  }

  /** Spreads a fleet's loads: 90 to 110 % of `delayMs`. */
  #jittered(delayMs: number): number {
    return delayMs * (0.9 + 0.2 * this.#options.random.unit());
  }
}

/** Keys rotate over days; ten minutes is what providers say in their own caching fields. */
const RELOAD_INTERVAL_MS = 600_000;
/** A new key is noticed within this time, and made-up key ids cost the issuer at most one request in it. */
const COOL_DOWN_MS = 10_000;
const MAX_BACK_OFF_MS = 60_000;
/** What a caller is told at the least when keys are out of reach. */
const RETRY_AFTER_MS = 1_000;
/** Callers with an unknown key id that wait for one load while known keys work. Further ones get `unavailable`. */
const MAX_WAITING = 64;
/** Callers that wait for the very first load. Further ones get `unavailable`. */
const MAX_WAITING_COLD = 4_096;

const identityOf = (key: VerificationKey): string =>
  `${key.thumbprint} ${[...key.algorithms].join(",")} ${key.keyId}`;
