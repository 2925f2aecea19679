import { isEndedBy, RevocationIndex, type Principal, type RevocationEntry } from "@tidegate/auth";
import type { Clock, Timer } from "@tidegate/clock";
import type { SessionEnding } from "../session/live-session.ts";
import type { LiveSessions } from "../session/live-sessions.ts";
import type { MainThread } from "../worker/data-threads.ts";
import { steadyWallTime } from "./steady-wall-time.ts";

/** Asked of the main thread by a worker that begins. */
export const JOIN_REVOCATIONS = "join-revocations";
/** Told to all workers, with `RevocationEntry[]`. */
export const REVOKED = "revoked";

/** What a worker finds when it begins. */
export interface RevocationsNow {
  /** Shared by all threads; written by the main thread alone. */
  readonly epoch: Int32Array;
  readonly entries: readonly RevocationEntry[];
}

/** What is revoked, as one worker knows it. Asked for every call; ends what is open in the turn in which it learns. */
export class Revocations implements Disposable {
  readonly #index: RevocationIndex;
  readonly #clock: Clock;
  readonly #forgetBefore: () => number;
  /** Set by `follow`: until then nothing is open. */
  #epoch: Int32Array = new Int32Array(1);
  #sweeping: Timer;

  constructor(clock: Clock, index = new RevocationIndex()) {
    this.#index = index;
    this.#clock = clock;
    this.#forgetBefore = steadyWallTime(clock);
    this.#sweeping = clock.after(SWEEP_INTERVAL_MS, this.#sweep);
  }

  /**
   * Learns what is revoked, and from then on what is being revoked. To be awaited before the first call is judged.
   * @throws {Error} when the main thread does not answer
   */
  async follow(main: MainThread, liveSessions: LiveSessions): Promise<void> {
    // First: what is revoked while the answer is on its way is told, and nothing falls in between.
    main.whenTold(REVOKED, (told) => this.#learn(told as RevocationEntry[], liveSessions));
    const { epoch, entries } = (await main.ask(
      JOIN_REVOCATIONS,
      undefined,
      ANSWER_DEADLINE_MS,
    )) as RevocationsNow;
    this.#epoch = epoch;
    this.#learn(entries, liveSessions);
  }

  /** Rises with every revocation, in all threads at once. Whatever began under an older one is judged again. */
  get epoch(): number {
    return Atomics.load(this.#epoch, 0);
  }

  /** Step 6 of the road. Allocates nothing. */
  refuses(principal: Principal): boolean {
    return this.#index.refuses(principal);
  }

  /** As `refuses`, for who was identified before the newest revocation: a password counts as shown before it. */
  refusesEarlier(principal: Principal): boolean {
    return this.#index.refusesEarlier(principal);
  }

  [Symbol.dispose](): void {
    this.#sweeping.cancel();
  }

  #learn(entries: readonly RevocationEntry[], liveSessions: LiveSessions): void {
    if (entries.length === 0) return;
    for (const entry of entries) {
      // The main thread holds as many and no more, and has found room. A worker that has none would let in who is
      // shut out: what it throws ends it.
      if (!this.#index.add(entry)) throw new Error("Cannot learn a revocation: there is no room");
    }
    liveSessions.endWhere(
      ({ principal }) => entries.some(({ revocation }) => isEndedBy(principal, revocation)),
      ENDING,
    );
  }

  readonly #sweep = (): void => {
    this.#index.sweep(this.#forgetBefore());
    this.#sweeping = this.#clock.after(SWEEP_INTERVAL_MS, this.#sweep);
  };
}

const ENDING: SessionEnding = { kind: "revoked" };
const ANSWER_DEADLINE_MS = 5_000;
/** Shorter than the main thread's, so that a worker never holds what that one has forgotten and found room for. */
const SWEEP_INTERVAL_MS = 15_000;
