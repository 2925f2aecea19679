import { RevocationIndex, type Revocation } from "@tidegate/auth";
import type { Clock, Timer } from "@tidegate/clock";
import { Fault } from "../fault.ts";
import { revocationRecorded } from "../record/events.ts";
import type { Log } from "../record/logger.ts";
import type { DataThreads } from "../worker/data-threads.ts";
import { nameOf, type RecordedRevocation, type RevocationLog } from "./revocation-log.ts";
import { steadyWallTime } from "./steady-wall-time.ts";
import { JOIN_REVOCATIONS, REVOKED, type RevocationsNow } from "./revocations.ts";

/** How long a revocation has to be remembered, in milliseconds from when it holds. */
export interface RevocationMemory {
  /** Of the issuer's longest access token. */
  tokenMs(issuer: string): number;
  /** Of the longest refresh token: as long may a session, or a sign-in, bring new access tokens. */
  readonly sessionMs: number;
}

/**
 * Where everything is revoked: on the main thread, whoever asks for it. A revocation counts when it is on disk and
 * every worker has said that it knows; one that does not say so in time is ended.
 */
export class RevocationDesk implements Disposable {
  readonly #log: RevocationLog;
  readonly #memory: RevocationMemory;
  readonly #dataThreads: Pick<DataThreads, "tell">;
  readonly #clock: Clock;
  readonly #events: Log;
  readonly #forgetBefore: () => number;
  readonly #index: RevocationIndex;
  readonly #epoch: Int32Array;
  readonly #listeners = new Set<(revocations: readonly Revocation[]) => Promise<void>>();
  #sweeping: Timer;

  constructor(options: {
    readonly log: RevocationLog;
    readonly memory: RevocationMemory;
    readonly dataThreads: Pick<DataThreads, "answer" | "tell">;
    readonly clock: Clock;
    readonly events: Log;
    readonly index?: RevocationIndex;
  }) {
    this.#log = options.log;
    this.#memory = options.memory;
    this.#dataThreads = options.dataThreads;
    this.#clock = options.clock;
    this.#events = options.events;
    this.#forgetBefore = steadyWallTime(options.clock);
    this.#index = options.index ?? new RevocationIndex();
    this.#epoch = new Int32Array(new SharedArrayBuffer(4));
    for (const entry of this.#log.list(this.#clock.wallMs())) this.#index.add(entry);
    options.dataThreads.answer(JOIN_REVOCATIONS, (): RevocationsNow => ({
      epoch: this.#epoch,
      entries: this.#log.list(this.#clock.wallMs()),
    }));
    this.#sweeping = this.#clock.after(SWEEP_INTERVAL_MS, this.#sweep);
  }

  /** How many are held. */
  get size(): number {
    return this.#index.size;
  }

  /**
   * Tells `listener` of everything that is revoked from now on; what it does is waited for. Others delete here what
   * hangs on a session or a person: browser sessions, tickets.
   */
  whenRevoked(listener: (revocations: readonly Revocation[]) => Promise<void>): void {
    this.#listeners.add(listener);
  }

  /**
   * Revokes all of them or none. When it resolves, no thread lets in what is revoked, and what was open is ended.
   * @param source who asks, for the record; few words
   * @throws {Fault} `store_unavailable` when it cannot be made durable, or too many are held; nothing is revoked then
   */
  async revoke(revocations: readonly Revocation[], source: string): Promise<void> {
    const recordedMs = this.#clock.wallMs();
    const entries = revocations.map((revocation): RecordedRevocation => ({
      revocation,
      untilMs: this.#untilMs(revocation, recordedMs),
      recordedMs,
      source,
    }));
    this.#record(entries);
    // Before anybody is told: whoever began to judge before this asks again before it counts.
    Atomics.add(this.#epoch, 0, 1);
    for (const { revocation } of entries)
      revocationRecorded(this.#events, {
        kind: revocation.kind,
        issuer: revocation.issuer,
        name: nameOf(revocation),
        source,
      });
    const heard = [...this.#listeners].map((listener) => listener(revocations));
    await Promise.all([
      this.#dataThreads.tell(REVOKED, entries, ACKNOWLEDGE_DEADLINE_MS),
      ...heard,
    ]);
  }

  /** What counts now, oldest first; the newest `limit` of it. */
  list(limit: number): readonly RecordedRevocation[] {
    return this.#log.list(this.#clock.wallMs(), limit);
  }

  [Symbol.dispose](): void {
    this.#sweeping.cancel();
  }

  #record(entries: readonly RecordedRevocation[]): void {
    if (!this.#index.hasRoomFor(entries.length)) {
      this.#sweepNow();
      if (!this.#index.hasRoomFor(entries.length))
        throw new Fault("store_unavailable", "Cannot revoke: too many revocations are held");
    }
    try {
      this.#log.record(entries);
    } catch (cause) {
      throw new Fault("store_unavailable", "Cannot revoke: it could not be written down", {
        cause,
      });
    }
    for (const entry of entries) this.#index.add(entry);
  }

  #untilMs(revocation: Revocation, nowMs: number): number {
    const { issuer } = revocation;
    switch (revocation.kind) {
      case "token":
        return nowMs + this.#memory.tokenMs(issuer);
      case "issued-before":
        return Math.max(nowMs, revocation.atSeconds * 1_000) + this.#memory.tokenMs(issuer);
      case "session":
        return nowMs + this.#memory.sessionMs;
      case "subject":
        return Math.max(nowMs, revocation.atSeconds * 1_000) + this.#memory.sessionMs;
    }
  }

  readonly #sweep = (): void => {
    this.#sweepNow();
    this.#sweeping = this.#clock.after(SWEEP_INTERVAL_MS, this.#sweep);
  };

  #sweepNow(): void {
    const nowMs = this.#forgetBefore();
    this.#index.sweep(nowMs);
    this.#log.sweep(nowMs);
  }
}

/** A worker that needs longer lets in, meanwhile, who should be shut out. */
const ACKNOWLEDGE_DEADLINE_MS = 1_000;
/** Only memory depends on it. */
const SWEEP_INTERVAL_MS = 60_000;
