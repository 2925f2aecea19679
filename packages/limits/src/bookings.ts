import type { HeldRecords } from "./held-records.ts";
import { chargeRefundable, overcharge, remainingOf, repairRecord, settle } from "./limit-kind.ts";
import { finishConcurrency, renewConcurrency } from "./concurrency.ts";
import { takeHeld, type HolderLog, type HolderPlace } from "./holder-log.ts";
import { BOOKED_AT, KIND, OVERRUN, type LimitPlan } from "./limit-plan.ts";
import { findOrInsert, isRecordOf, RECORD_LOCK } from "./limit-table.ts";
import type { Reservation } from "./limiter.ts";
import { LOCK, type RecordLocks } from "./record-lock.ts";
import { chargeShadow } from "./shadow-charge.ts";

/**
 * Reservations from booking to their end. A reservation remembers records, not handles, so it outlives those; the
 * record is checked against the identity it had. `plan.ticks[NOW]` is the instant of each call.
 */
export class Bookings {
  readonly #plans: readonly LimitPlan[];
  readonly #ticks: Float64Array;
  readonly #locks: RecordLocks;
  readonly #held: HeldRecords;
  readonly #log: HolderLog | undefined;
  /** Passed to the kinds when a reservation ends; refilled. */
  readonly #booked = { cost: 0, actual: 0, bookedAt: 0.5 };

  constructor(options: {
    readonly plans: readonly LimitPlan[];
    readonly ticks: Float64Array;
    readonly locks: RecordLocks;
    readonly held: HeldRecords;
    /** Where this thread writes down what it holds. */
    readonly log: HolderLog | undefined;
  }) {
    this.#plans = options.plans;
    this.#ticks = options.ticks;
    this.#locks = options.locks;
    this.#held = options.held;
    this.#log = options.log;
  }

  /** Charges the held records, all of which have room, and notes where. */
  book(handles: Int32Array, costs: Int32Array, count: number, reservation: Reservation): void {
    for (let i = 0; i < count; i++) {
      const plan = this.#held.plans[i]!;
      const record = this.#held.records[i]!;
      reservation.limit[i] = this.#held.limitOf(handles[i]!);
      reservation.record[i] = record;
      reservation.identity[2 * i] = plan.i32[2 * record]!;
      reservation.identity[2 * i + 1] = plan.i32[2 * record + 1]!;
      if (plan.isShadow) {
        const call = { position: i, cost: costs[i]!, how: chargeRefundable };
        reservation.cost[i] = chargeShadow(this.#held, call);
      } else {
        reservation.cost[i] = costs[i]!;
        chargeRefundable(plan, record, costs[i]!);
      }
      reservation.bookedAt[i] = this.#ticks[BOOKED_AT]!;
      this.#writeDown(reservation, i);
    }
    reservation.count = count;
  }

  /** Ends all positions but those of concurrency limits, which move to the front; returns the overrun. */
  settle(reservation: Reservation, actual: Int32Array | undefined): number {
    const { count } = reservation;
    let overrun = 0;
    let kept = 0;
    for (let i = 0; i < count; i++) {
      if (this.#plans[reservation.limit[i]!]!.kind === KIND.concurrency) {
        movePosition(reservation, i, kept++);
      } else {
        const used = actual === undefined ? reservation.cost[i]! : actual[i]!;
        overrun += this.#end(reservation, i, used);
      }
    }
    reservation.count = kept;
    return overrun;
  }

  refund(reservation: Reservation): void {
    for (let i = 0; i < reservation.count; i++) this.#end(reservation, i, 0);
    reservation.count = 0;
  }

  finish(reservation: Reservation): void {
    for (let i = 0; i < reservation.count; i++) {
      this.#end(reservation, i, reservation.cost[i]!);
    }
    reservation.count = 0;
  }

  renew(reservation: Reservation): boolean {
    let isHeld = true;
    for (let i = 0; i < reservation.count; i++) {
      const plan = this.#plans[reservation.limit[i]!]!;
      if (plan.kind !== KIND.concurrency) continue;
      const record = reservation.record[i]!;
      this.#ticks[BOOKED_AT] = -1;
      this.#log?.clear(reservation.heldAt[i]!);
      if (lockRecord(this.#locks, plan, record)) {
        if (isStillBooked(plan, record, reservation, i)) {
          renewConcurrency(plan, record, reservation.cost[i]!, reservation.bookedAt[i]!);
        }
        this.#locks.release(2 * record + RECORD_LOCK);
      }
      reservation.bookedAt[i] = this.#ticks[BOOKED_AT]!;
      this.#writeDown(reservation, i);
      if (reservation.bookedAt[i]! < 0) isHeld = false;
    }
    return isHeld;
  }

  /** Gives back what a dead thread held. */
  reclaim(place: HolderPlace): number {
    let units = 0;
    for (const held of takeHeld(place)) {
      const plan = this.#plans[held.limit]!;
      const { record, identity0, identity1 } = held;
      // Only another thread that died in the same moment holds a lock for so long. Waiting for each of many
      // entries would stop the supervisor: what is left expires.
      if (!lockRecord(this.#locks, plan, record)) break;
      if (isRecordOf(plan, record, identity0, identity1)) {
        units += held.units;
        finishConcurrency(plan, record, held.units, held.epoch);
      }
      this.#locks.release(2 * record + RECORD_LOCK);
    }
    return units;
  }

  #writeDown(reservation: Reservation, i: number): void {
    const limit = reservation.limit[i]!;
    const epoch = reservation.bookedAt[i]!;
    const isHeld = this.#plans[limit]!.kind === KIND.concurrency && epoch >= 0;
    reservation.heldAt[i] = -1;
    if (this.#log === undefined || !isHeld) return;
    reservation.heldAt[i] = this.#log.note({
      units: reservation.cost[i]!,
      limit,
      record: reservation.record[i]!,
      identity0: reservation.identity[2 * i]!,
      identity1: reservation.identity[2 * i + 1]!,
      epoch,
    });
  }

  /** Ends one position of a reservation with `actual` units spent; returns those above what there was room for. */
  #end(reservation: Reservation, i: number, actual: number): number {
    const plan = this.#plans[reservation.limit[i]!]!;
    const cost = reservation.cost[i]!;
    let record = reservation.record[i]!;
    this.#log?.clear(reservation.heldAt[i]!);
    // What cannot be ended now expires by itself, spent.
    if (!lockRecord(this.#locks, plan, record)) return 0;
    // A record that limited nobody any more may serve somebody else by now.
    if (isStillBooked(plan, record, reservation, i)) {
      const booked = this.#booked;
      booked.cost = cost;
      booked.actual = actual < cost ? actual : cost;
      booked.bookedAt = reservation.bookedAt[i]!;
      settle(plan, record, booked);
    } else if (actual > cost) {
      this.#locks.release(2 * record + RECORD_LOCK);
      const { identity } = reservation;
      record = findOrInsert(plan, this.#locks, identity[2 * i]!, identity[2 * i + 1]!, 0);
      if (record < 0 || !lockRecord(this.#locks, plan, record)) return actual - cost;
    }
    // A shadow limit that would have refused reserved nothing, so nothing is above it either.
    const overrun = actual > cost && !plan.isShadow ? overspend(plan, record, actual - cost) : 0;
    this.#locks.release(2 * record + RECORD_LOCK);
    return overrun;
  }
}

/** Spends `cost` whether it fits or not, and counts what was too much; returns that. The record is locked. */
export function overspend(plan: LimitPlan, record: number, cost: number): number {
  if (plan.kind === KIND.concurrency) return 0;
  const overrun = Math.max(0, cost - remainingOf(plan, record));
  overcharge(plan, record, cost);
  if (overrun > 0) Atomics.add(plan.i32, 2 * plan.header + OVERRUN, overrun);
  return overrun;
}

/** Locks one record, repaired if need be; false when it cannot be had in time. */
export function lockRecord(locks: RecordLocks, plan: LimitPlan, record: number): boolean {
  const lock = locks.take(2 * record + RECORD_LOCK);
  if (lock === LOCK.broken) repairRecord(plan, record);
  return lock !== LOCK.missed;
}

function isStillBooked(
  plan: LimitPlan,
  record: number,
  { identity }: Reservation,
  i: number,
): boolean {
  return isRecordOf(plan, record, identity[2 * i]!, identity[2 * i + 1]!);
}

function movePosition(reservation: Reservation, from: number, to: number): void {
  reservation.limit[to] = reservation.limit[from]!;
  reservation.record[to] = reservation.record[from]!;
  reservation.cost[to] = reservation.cost[from]!;
  reservation.identity[2 * to] = reservation.identity[2 * from]!;
  reservation.identity[2 * to + 1] = reservation.identity[2 * from + 1]!;
  reservation.bookedAt[to] = reservation.bookedAt[from]!;
  reservation.heldAt[to] = reservation.heldAt[from]!;
}
