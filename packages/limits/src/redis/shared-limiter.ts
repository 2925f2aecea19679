import type { LimitReport, Reservation } from "../limiter.ts";
import { createReservation, MAX_LIMITS_AT_ONCE } from "../limiter.ts";
import type { SlotHold, StoreStatistics } from "./limit-store.ts";

/**
 * The seam of a limiter that many nodes keep together. As `Limiter`, and a set may mix shared limits with local ones; but a
 * decision may need a round trip. Then `acquire` says PENDING, nothing is spent, and `acquireRemote` decides.
 */
export interface SharedLimiter extends AsyncDisposable {
  /** As `Limiter.intern`; one handle space for local and shared limits. */
  intern(limitIndex: number, key: string | Uint8Array): number;
  release(handle: number): void;

  /** As `Limiter.acquire`. Allocates nothing unless a limit is shared and the answer is not `admitted`. */
  acquire(
    handles: Int32Array,
    costs: Int32Array,
    count: number,
    nowMs: number,
    report: LimitReport,
  ): SharedOutcome | typeof PENDING;

  /** As `EmbeddedLimiter.tryAcquire`; false where a limit is shared. */
  tryAcquire(handles: Int32Array, costs: Int32Array, count: number, nowMs: number): boolean;

  /** As `Limiter.reserve`; `reservation` comes from `createSharedReservation`. */
  reserve(
    handles: Int32Array,
    costs: Int32Array,
    count: number,
    nowMs: number,
    report: LimitReport,
    reservation: SharedReservation,
  ): SharedOutcome | typeof PENDING;

  /**
   * Decides what was PENDING. Handles and costs are read before it returns; the handles must not be released before the promise
   * settles. Never rejects for reasons of the store: within `budgetMs` of the limiter it is decided by each limit's `whenStoreLost`.
   * @param reservation as for `reserve`; undefined: as `acquire`
   * @param signal ends the wait; what the store grants after that is given back or expires. The outcome is then `unavailable`
   */
  acquireRemote(
    handles: Int32Array,
    costs: Int32Array,
    count: number,
    report: LimitReport,
    reservation: SharedReservation | undefined,
    signal: AbortSignal,
  ): Promise<SharedOutcome>;

  /** For `reserve`; reusable. */
  createReservation(): SharedReservation;

  /**
   * As `EmbeddedLimiter.settle`: spends all of it, or `actual[i]` units of position i. Fewer than reserved: the others come free
   * where they were booked (of a lease that ended meanwhile they stay spent). More: they are taken from the lease in hand, else asked for
   * without waiting; what there is no room for is counted as `overrun` and, unlike in memory, not remembered as a debt.
   */
  settle(reservation: SharedReservation, nowMs: number, actual?: Int32Array): void;
  /** As `Limiter.refund`. What a lease has lost by ending meanwhile stays spent. */
  refund(reservation: SharedReservation, nowMs: number): void;

  /**
   * As `EmbeddedLimiter.finish` and `renew`: slots of concurrency limits. Of shared ones `renew` tells the store without waiting
   * for it, and is false when a holder was given up: nobody heard of it for `expireSeconds`.
   */
  finish(reservation: SharedReservation, nowMs: number): void;
  renew(reservation: SharedReservation, nowMs: number): boolean;

  /** What this node knows, without asking: for shared limits `remaining` is a lower bound. Spends nothing. */
  peek(
    handles: Int32Array,
    costs: Int32Array,
    count: number,
    nowMs: number,
    report: LimitReport,
  ): SharedOutcome | typeof PENDING;

  /** As `peek`, but asks the store first: exact as of its answer, where it answers within the budget. */
  peekRemote(
    handles: Int32Array,
    costs: Int32Array,
    count: number,
    report: LimitReport,
    signal: AbortSignal,
  ): Promise<SharedOutcome>;

  /** Hands back every lease and resolves when the store heard of it (or the budget is over), as before a node is drained. */
  handBack(): Promise<void>;

  sweep(nowMs: number, maxRecords: number): number;
  statistics(): SharedStatistics;
  /** Hands back every lease, waits until the store heard of it (within the budget), and lets go of it. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** `unavailable`: the store cannot be asked and the limit is `deny` (or its share is spent): 503, not 429. */
export const SHARED_OUTCOME = { admitted: 0, refused: 1, impossible: 2, unavailable: 3 } as const;
export type SharedOutcome = (typeof SHARED_OUTCOME)[keyof typeof SHARED_OUTCOME];

/** A round trip is needed: ask `acquireRemote`. */
export const PENDING = -1;

/** Where a refundable acquisition was booked. The inherited part is that of the local limits. Reusable. */
export interface SharedReservation extends Reservation {
  /** The limiter's own; 0 when no shared limit is reserved. */
  sharedCount: number;
  /** Which positions of the call the inherited part is about: bit i for position i. */
  localPositions: number;
  readonly notes: SharedNote[];
}

/** Where units of one shared limit came from. */
export interface SharedNote {
  /** Index of the account; and its generation, because an account may serve somebody else later. */
  account: object | undefined;
  /** lease: units of a lease in hand. own: a lease of this one call. slot: the same, held until `finish`. booked: spent at once at `bookedUs`. gone: cannot come back. */
  from: "lease" | "own" | "booked" | "slot" | "gone";
  units: number;
  /** Positions of the call that they are for: bit i for position i. */
  positions: number;
  seq: number;
  bookedUs: number;
  epoch: string;
  slot: SlotHold | undefined;
}

export function createSharedReservation(): SharedReservation {
  return {
    ...createReservation(),
    sharedCount: 0,
    localPositions: 0,
    notes: Array.from({ length: MAX_LIMITS_AT_ONCE }, () => ({
      account: undefined,
      from: "gone",
      units: 0,
      positions: 0,
      seq: 0,
      bookedUs: 0,
      epoch: "",
      slot: undefined,
    })),
  };
}

/** Counts since the start, for metrics. */
export interface SharedStatistics {
  readonly store: StoreStatistics;
  readonly accounts: number;
  /** Units held in leases now. */
  readonly leasedUnits: number;
  readonly leasesGranted: number;
  /** Sets decided without a round trip, and with one. */
  readonly decidedHere: number;
  readonly decidedRemotely: number;
  /** Limits decided without the store, by what `whenStoreLost` says. */
  readonly whileLost: Readonly<Record<"deny" | "share" | "local" | "open", number>>;
  /** Units used above what was reserved, for which there was no room. */
  readonly overrun: number;
  /** Keys for which the store granted nothing because it may have forgotten. */
  readonly learning: number;
  /** Times this process was found to have been suspended: all leases were dropped. */
  readonly suspends: number;
}
