/**
 * The seam: what whoever judges calls asks of a limit engine. Synchronous, and nothing in it allocates after set-up.
 * Every implementation passes `limiter.contract.ts`.
 */
export interface Limiter {
  /**
   * Names one caller under one limit and returns its handle. Hash once here, then use the handle for every message.
   * A handle stays good until `release`, whatever the table does meanwhile: a record that was reclaimed or moved is
   * found again by its identity.
   *
   * @param limitIndex position in `definitions`
   * @param key who is limited; attacker-chosen text is safe (keyed hash), but see `callerKey` for its length
   * @returns the handle, or `NO_HANDLE` when `maxHandles` are in use: whatever is asked with that one is refused
   */
  intern(limitIndex: number, key: string | Uint8Array): number;

  /** Gives a handle back. Using it afterwards is a bug and asserted. `NO_HANDLE` is ignored. The spent budget stays spent. */
  release(handle: number): void;

  /**
   * Spends `costs[i]` of the limit and caller of `handles[i]`, for all `i < count` or for none. A refusal costs nothing.
   * Atomic, also against other threads on the same memory. What is spent here cannot come back.
   *
   * @param costs whole numbers >= 0
   * @param count at most `MAX_LIMITS_AT_ONCE`
   * @param nowMs monotonic milliseconds. A time earlier than a record has seen is decided as that later time, so a stale clock only denies
   * @param report filled when the outcome is not `admitted`, untouched otherwise
   */
  acquire(
    handles: Int32Array,
    costs: Int32Array,
    count: number,
    nowMs: number,
    report: LimitReport,
  ): Outcome;

  /**
   * As `acquire`, but what was spent can come back: `reservation` remembers where it was booked. It must be
   * ended by `settle` or `refund`, and is asserted not to be open now. Units that may still come back hold a bucket's
   * refill off, so settle as soon as no later stage can refuse.
   * If neither is called within `reservationMs` (of the limiter), all of it counts as spent.
   */
  reserve(
    handles: Int32Array,
    costs: Int32Array,
    count: number,
    nowMs: number,
    report: LimitReport,
    reservation: Reservation,
  ): Outcome;

  /** Spends a reservation for good. Does nothing when it is not open. */
  settle(reservation: Reservation, nowMs: number): void;

  /**
   * Undoes a reservation as if it had never been made; no guarantee is weakened by it: a window's unit is freed where
   * it was booked, a bucket is refilled no further than it would have been without. Does nothing when it is not open.
   */
  refund(reservation: Reservation, nowMs: number): void;

  /** Fills `report` (`remaining`, `retryAfterMs…`, `resetMs`) as things stand, for all `i < count`, and spends nothing. */
  peek(
    handles: Int32Array,
    costs: Int32Array,
    count: number,
    nowMs: number,
    report: LimitReport,
  ): Outcome;

  /**
   * Looks at up to `maxRecords` records and takes back those that no longer limit anybody. To be called on a timer
   * (say 1024 records each 100 ms); nothing depends on it but memory.
   * @returns how many were taken back
   */
  sweep(nowMs: number, maxRecords: number): number;

  /** Counts since the start, for metrics. A new object each time; not for the hot path. */
  statistics(): LimiterStatistics;
}

export const OUTCOME = { admitted: 0, refused: 1, impossible: 2 } as const;
/** `impossible`: a cost is above the capacity of its limit and can never be admitted; coming back is no use. */
export type Outcome = (typeof OUTCOME)[keyof typeof OUTCOME];

/** A handle that is always refused (fails closed). */
export const NO_HANDLE = -1;

/** The most limits one `acquire` takes: an address has three prefixes, a principal some four limits; 16 leaves room. */
export const MAX_LIMITS_AT_ONCE = 16;

/** Reusable; filled by the limiter. Positions are those of `handles`. */
export interface LimitReport {
  /** How many limits refused. */
  violatedCount: number;
  /** Their positions, ascending; the first `violatedCount` entries count. */
  readonly violated: Int32Array;
  /**
   * When to come back: the latest of the violated limits, whole milliseconds rounded up; 0 when none is violated.
   * `Infinity` when the outcome is `impossible`.
   */
  retryAfterMs: number;
  /** The same for each position, not rounded; 0 where not violated. */
  readonly retryAfterEachMs: Float64Array;
  /** Units left at each position, rounded down, none of this call's cost deducted unless it was admitted. */
  readonly remaining: Float64Array;
  /** Milliseconds until the whole capacity is back if nothing more is spent; not rounded. */
  readonly resetMs: Float64Array;
}

export function createLimitReport(): LimitReport {
  return {
    violatedCount: 0,
    violated: new Int32Array(MAX_LIMITS_AT_ONCE),
    retryAfterMs: 0,
    retryAfterEachMs: new Float64Array(MAX_LIMITS_AT_ONCE),
    remaining: new Float64Array(MAX_LIMITS_AT_ONCE),
    resetMs: new Float64Array(MAX_LIMITS_AT_ONCE),
  };
}

/**
 * Where a refundable acquisition was booked. Reusable; its fields belong to the limiter that filled it, on the thread
 * that filled it. It outlives the handles: they may be released first.
 */
export interface Reservation {
  /** Positions in use; 0 when the reservation is not open. */
  count: number;
  /** Index of the limit. */
  readonly limit: Int32Array;
  /** First word of the record. */
  readonly record: Int32Array;
  readonly cost: Int32Array;
  /** Identity that the record had; a record that serves somebody else meanwhile is left alone. */
  readonly identity: Int32Array;
  /** The limit kind's own note of when it was booked. */
  readonly bookedAt: Float64Array;
  /** Where the thread wrote down that it holds these units, or -1. */
  readonly heldAt: Int32Array;
}

export function createReservation(): Reservation {
  return {
    count: 0,
    limit: new Int32Array(MAX_LIMITS_AT_ONCE),
    record: new Int32Array(MAX_LIMITS_AT_ONCE),
    cost: new Int32Array(MAX_LIMITS_AT_ONCE),
    identity: new Int32Array(2 * MAX_LIMITS_AT_ONCE),
    bookedAt: new Float64Array(MAX_LIMITS_AT_ONCE),
    heldAt: new Int32Array(MAX_LIMITS_AT_ONCE),
  };
}

export interface LimiterStatistics {
  /** Bytes of address space the tables may come to use. */
  readonly maxBytes: number;
  /** Locks this thread took over from ended ones, and locks it could not have in time (those calls were refused). */
  readonly brokenLocks: number;
  readonly lockTimeouts: number;
  readonly handlesInUse: number;
  /** Calls of `intern` that found no free handle. */
  readonly handleShortages: number;
  readonly limits: readonly {
    readonly name: string;
    readonly maxKeys: number;
    /** Records in use. */
    readonly keys: number;
    /** Times a caller had to use a coarse shared record because the table was full: collateral denial is possible then. */
    readonly spills: number;
  }[];
}
