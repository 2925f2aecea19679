import type { Clock, Random } from "@tidegate/clock";
import type { EmbeddedLimiter } from "./embedded-limiter.ts";
import type { LimitDefinition } from "./limit-definition.ts";
import { createLimiterMemory, holderPlace, type LimiterMemory } from "./limiter-memory.ts";
import { NoLocks, SharedLocks, type LockOwner } from "./record-lock.ts";
import { TableLimiter } from "./table-limiter.ts";

/** 1 M handles reserve 16 MB; a connection or request in flight uses one per limit. When all are in use, callers are refused. */
export const DEFAULT_MAX_HANDLES = 2 ** 20;

/** A body may take this long to arrive before a later stage refuses the call; after that a refund is no longer possible. */
export const DEFAULT_RESERVATION_MS = 30_000;

/**
 * A limiter that one thread has to itself.
 * @throws {RangeError} naming every definition that cannot be honoured, or why the snapshot cannot be read
 */
export function createLimiter(options: {
  readonly definitions: readonly LimitDefinition[];
  readonly random: Random;
  readonly maxHandles?: number;
  /** How long after a `reserve` a `refund` is possible at least; up to twice as long. */
  readonly reservationMs?: number;
  /** What quotas read the calendar from, and snapshots the time that passed. Its monotonic time is that of `nowMs`. */
  readonly clock?: Clock;
  /** `snapshot()` of an earlier limiter; needs `clock`. */
  readonly snapshot?: Uint8Array;
}): EmbeddedLimiter {
  const { definitions, random, clock, snapshot } = options;
  if (snapshot !== undefined && clock === undefined) {
    throw new RangeError("Cannot restore a limiter: a snapshot needs a clock");
  }
  const memory = createLimiterMemory({
    definitions,
    random,
    reservationMs: options.reservationMs ?? DEFAULT_RESERVATION_MS,
    snapshot: snapshot && clock && { bytes: snapshot, clock },
  });
  return new TableLimiter({
    memory,
    locks: new NoLocks(),
    maxHandles: options.maxHandles ?? DEFAULT_MAX_HANDLES,
    clock,
  });
}

/**
 * One thread's limiter over memory that other threads use too: limits are exact over all of them.
 * Handles and reservations belong to this limiter; what is spent belongs to the memory.
 */
export function attachLimiter(options: {
  readonly memory: LimiterMemory;
  /** This thread's life, from the supervisor (`beginLockOwner`); never used by two threads. */
  readonly lockOwner: LockOwner;
  readonly maxHandles?: number;
  /** What quotas read the calendar from. Its monotonic time is that of `nowMs`. */
  readonly clock?: Clock;
}): EmbeddedLimiter {
  return new TableLimiter({
    memory: options.memory,
    locks: new SharedLocks(new Int32Array(options.memory.buffer), options.lockOwner),
    maxHandles: options.maxHandles ?? DEFAULT_MAX_HANDLES,
    clock: options.clock,
    holders: holderPlace(options.memory, options.lockOwner),
  });
}
