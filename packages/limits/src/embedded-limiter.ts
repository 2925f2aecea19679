import type { DemandStatistics } from "./demand-statistics.ts";
import type { LockOwner } from "./record-lock.ts";
import type { Limiter, LimiterStatistics, Reservation } from "./limiter.ts";

/** What a limiter in memory can do beyond the seam. */
export interface EmbeddedLimiter extends Limiter {
  /**
   * As `acquire` of one limit, for who needs a yes or no and nothing else: the shortest way there is, when it
   * refuses too. False for `NO_HANDLE` and for impossible costs.
   */
  admits(handle: number, cost: number, nowMs: number): boolean;

  /**
   * As `acquire`, for who has a way on when it does not admit: then nothing was counted, charged or said, and `acquire` may
   * be asked with less. So a run of calls of one caller is acquired in one step, and one after the other only when
   * not all of it fits. False where that would not be the same as one after the other (limits in shadow mode), too.
   */
  tryAcquire(handles: Int32Array, costs: Int32Array, count: number, nowMs: number): boolean;

  /**
   * Spends a reservation for good: all of it, or `actual[i]` units of position i. Fewer than reserved: the others are
   * freed where they were booked, as by `refund`. More: they are spent too, and those that did not fit are
   * the overrun. Slots of concurrency limits stay held, and the reservation stays open for `finish`.
   *
   * @returns units spent above what the limits had room for; 0 as long as the reservation was large enough
   */
  settle(reservation: Reservation, nowMs: number, actual?: Int32Array): number;

  /** The call is over: slots of concurrency limits come free; what is not settled yet is spent. Does nothing when the reservation is not open. */
  finish(reservation: Reservation, nowMs: number): void;

  /**
   * Tells that the holder of concurrency slots still lives; to be called more often than each `expireSeconds`.
   * @returns false when a slot was given up for lost meanwhile: somebody else may hold it
   */
  renew(reservation: Reservation, nowMs: number): boolean;

  /**
   * Gives back the slots of concurrency limits that an ended thread held, at once and not when they expire. Only after `endLockOwner`,
   * and before that lock owner's next life. Needs `threads` in `createLimiterMemory`.
   * @returns units given back
   */
  reclaimHeld(lockOwner: LockOwner, nowMs: number): number;

  /**
   * Spends what was used already, whether it fits or not: for costs known only afterwards. An explicit choice, because
   * all that is in flight meanwhile was admitted without it; `reserve` and `settle` know no such overrun.
   * Ignores `NO_HANDLE` and concurrency limits.
   *
   * @returns units spent above what the limits had room for
   */
  debit(handles: Int32Array, costs: Int32Array, count: number, nowMs: number): number;

  statistics(): EmbeddedStatistics;

  /**
   * All that limits somebody, as bytes to be restored by `createLimiter` or `createLimiterMemory` after a
   * restart. To be taken when no thread decides any more: what is spent afterwards is forgotten. Holders of concurrency
   * slots are not in it. Contains the secret of the hash, so it is to be kept like one.
   *
   * @param wallMs milliseconds since the Unix epoch, the same instant as `nowMs`
   */
  snapshot(nowMs: number, wallMs: number): Uint8Array;
}

export interface EmbeddedStatistics extends LimiterStatistics {
  readonly limits: readonly (LimiterStatistics["limits"][number] & {
    /** Calls that this limit refused; in shadow mode, would have refused. */
    readonly refusals: number;
    /** Units spent above the limit by `settle` and `debit`. */
    readonly overrun: number;
    /** What callers asked for; only of limits in shadow mode. */
    readonly demand?: DemandStatistics;
  })[];
}
