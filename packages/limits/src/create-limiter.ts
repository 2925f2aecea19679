import assert from "node:assert/strict";
import type { Random } from "@tidegate/clock";
import { HandleTable, LIMIT, RECORD } from "./handle-table.ts";
import { KeyedHash } from "./keyed-hash.ts";
import type { LimitDefinition } from "./limit-definition.ts";
import {
  charge,
  chargeRefundable,
  fits,
  refund,
  remainingOf,
  repairRecord,
  resetTicksOf,
  settle,
  shortageOf,
} from "./limit-kind.ts";
import { BOOKED_AT, NOW, SPILL_RECORDS, type LimitPlan } from "./limit-plan.ts";
import {
  EXAMINED_PER_INSERTION,
  findOrInsert,
  hasOwnRecord,
  isCoarse,
  isRecordOf,
  keysIn,
  RECORD_LOCK,
  spillsOf,
  sweepTable,
} from "./limit-table.ts";
import {
  MAX_LIMITS_AT_ONCE,
  OUTCOME,
  type Limiter,
  type LimiterStatistics,
  type LimitReport,
  type Outcome,
  type Reservation,
} from "./limiter.ts";
import { createLimiterMemory, toPlans, type LimiterMemory } from "./limiter-memory.ts";
import { LOCK, NoLocks, SharedLocks, type LockOwner, type RecordLocks } from "./record-lock.ts";
import { TICKS_PER_MS, toMs } from "./ticks.ts";

/** 1 M handles reserve 16 MB; a connection or request in flight uses one per limit. When all are in use, callers are refused. */
export const DEFAULT_MAX_HANDLES = 2 ** 20;

/** A body may take this long to arrive before a later stage refuses the call; after that a refund is no longer possible. */
export const DEFAULT_RESERVATION_MS = 30_000;

/** What a refusal that is ours (no handle, lock not had in time) tells the caller to wait. */
const OWN_REFUSAL_RETRY_MS = 1_000;

/** Attempts to have all records locked and still the right ones; each fails only if somebody else made progress. */
const HOLD_ATTEMPTS = 16;

/**
 * A limiter that one thread has to itself.
 * @throws {RangeError} naming every definition that cannot be honoured
 */
export function createLimiter(options: {
  readonly definitions: readonly LimitDefinition[];
  readonly random: Random;
  readonly maxHandles?: number;
  /** How long after a `reserve` a `refund` is possible at least; up to twice as long. */
  readonly reservationMs?: number;
}): Limiter {
  const memory = createLimiterMemory({
    definitions: options.definitions,
    random: options.random,
    reservationMs: options.reservationMs ?? DEFAULT_RESERVATION_MS,
  });
  return new TableLimiter(memory, new NoLocks(), options.maxHandles ?? DEFAULT_MAX_HANDLES);
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
}): Limiter {
  const locks = new SharedLocks(new Int32Array(options.memory.buffer), options.lockOwner);
  return new TableLimiter(options.memory, locks, options.maxHandles ?? DEFAULT_MAX_HANDLES);
}

/** The limiter of one thread over memory that it may share. Nothing between locking and letting go throws. */
export class TableLimiter implements Limiter {
  readonly #memory: LimiterMemory;
  readonly #plans: LimitPlan[];
  /** Of all plans; see there. */
  readonly #ticks: Float64Array;
  readonly #locks: RecordLocks;
  readonly #handles: HandleTable;
  readonly #hash: KeyedHash;

  // What the call in progress holds, by position; and the order in which the records are locked.
  readonly #heldPlans: LimitPlan[];
  readonly #heldRecords = new Int32Array(MAX_LIMITS_AT_ONCE);
  readonly #lockOrder = new Int32Array(MAX_LIMITS_AT_ONCE);
  #lockedCount = 0;

  constructor(memory: LimiterMemory, locks: RecordLocks, maxHandles: number) {
    this.#memory = memory;
    this.#plans = toPlans(memory);
    // Without definitions there is nothing to ask, and nobody reads the time.
    this.#ticks = this.#plans[0]?.ticks ?? new Float64Array(NOW + 1);
    this.#locks = locks;
    this.#handles = new HandleTable(maxHandles);
    this.#hash = new KeyedHash(memory.secret);
    this.#heldPlans = Array.from({ length: MAX_LIMITS_AT_ONCE }, () => this.#plans[0]!);
  }

  intern(limitIndex: number, key: string | Uint8Array): number {
    assert(limitIndex >= 0 && limitIndex < this.#plans.length, "no such limit");
    const hash = this.#hash;
    hash.update(key);
    return this.#handles.take(limitIndex, hash.h0, hash.h1);
  }

  release(handle: number): void {
    if (handle >= 0) this.#handles.release(handle);
  }

  acquire(
    handles: Int32Array,
    costs: Int32Array,
    count: number,
    nowMs: number,
    report: LimitReport,
  ): Outcome {
    this.#ticks[NOW] = Math.floor(nowMs * TICKS_PER_MS);
    if (!this.#hold(handles, costs, count)) return refuseAll(count, report);
    const outcome = this.#check(costs, count);
    if (outcome === OUTCOME.admitted) {
      for (let i = 0; i < count; i++) {
        charge(this.#heldPlans[i]!, this.#heldRecords[i]!, costs[i]!);
      }
    } else {
      this.#describe(costs, count, report);
    }
    this.#letGo();
    return outcome;
  }

  reserve(
    handles: Int32Array,
    costs: Int32Array,
    count: number,
    nowMs: number,
    report: LimitReport,
    reservation: Reservation,
  ): Outcome {
    assert(reservation.count === 0, "the reservation is still open");
    this.#ticks[NOW] = Math.floor(nowMs * TICKS_PER_MS);
    if (!this.#hold(handles, costs, count)) return refuseAll(count, report);
    const outcome = this.#check(costs, count);
    if (outcome === OUTCOME.admitted) {
      for (let i = 0; i < count; i++) this.#book(i, handles[i]!, costs[i]!, reservation);
      reservation.count = count;
    } else {
      this.#describe(costs, count, report);
    }
    this.#letGo();
    return outcome;
  }

  settle(reservation: Reservation, nowMs: number): void {
    this.#end(reservation, nowMs, settle);
  }

  refund(reservation: Reservation, nowMs: number): void {
    this.#end(reservation, nowMs, refund);
  }

  peek(
    handles: Int32Array,
    costs: Int32Array,
    count: number,
    nowMs: number,
    report: LimitReport,
  ): Outcome {
    this.#ticks[NOW] = Math.floor(nowMs * TICKS_PER_MS);
    if (!this.#hold(handles, costs, count)) return refuseAll(count, report);
    const outcome = this.#check(costs, count);
    this.#describe(costs, count, report);
    this.#letGo();
    return outcome;
  }

  sweep(nowMs: number, maxRecords: number): number {
    this.#ticks[NOW] = Math.floor(nowMs * TICKS_PER_MS);
    const each = Math.ceil(maxRecords / this.#plans.length);
    let reclaimed = 0;
    for (const plan of this.#plans) reclaimed += sweepTable(plan, this.#locks, each);
    return reclaimed;
  }

  statistics(): LimiterStatistics {
    return {
      maxBytes: this.#memory.buffer.byteLength + this.#handles.rows.byteLength,
      brokenLocks: this.#locks.broken,
      lockTimeouts: this.#locks.timedOut,
      handlesInUse: this.#handles.inUse,
      handleShortages: this.#handles.shortages,
      limits: this.#memory.definitions.map((definition, index) => {
        const plan = this.#plans[index]!;
        return {
          name: definition.name,
          maxKeys: plan.records - SPILL_RECORDS,
          keys: keysIn(plan),
          spills: spillsOf(plan),
        };
      }),
    };
  }

  /** Finds and locks the records of all handles. False, with nothing held, when that cannot be done: the call is then refused. */
  #hold(handles: Int32Array, costs: Int32Array, count: number): boolean {
    assert(count > 0 && count <= MAX_LIMITS_AT_ONCE, "too many limits at once");
    for (let attempt = 0; attempt < HOLD_ATTEMPTS; attempt++) {
      let hasLookedUp = false;
      // The first look-up may take back what the second one needs, an idle record of the same call; so later rounds take back none.
      const examined = attempt === 0 ? EXAMINED_PER_INSERTION : 0;
      for (let i = 0; i < count; i++) {
        if (handles[i]! < 0) return false;
        assert(costs[i]! >= 0, "a cost is negative");
        const row = this.#handles.at(handles[i]!);
        const rows = this.#handles.rows;
        const plan = this.#plans[rows[row + LIMIT]! & 0xffff]!;
        let record = rows[row + RECORD]!;
        if (!isRecordOf(plan, record, rows[row]!, rows[row + 1]!)) {
          record = findOrInsert(plan, this.#locks, rows[row]!, rows[row + 1]!, examined);
          if (record < 0) return false;
          rows[row + RECORD] = record;
          hasLookedUp = true;
        }
        this.#heldPlans[i] = plan;
        this.#heldRecords[i] = record;
      }
      // Alone, nothing can have changed unless a look-up of ours reclaimed a record found before it.
      if (!this.#locks.isShared && !hasLookedUp) return true;
      if (!this.#lockAll(count)) return false;
      if (this.#areStillRight(handles, count)) return true;
      this.#letGo();
    }
    return false;
  }

  /** Locks the held records, each once, in ascending order of address. */
  #lockAll(count: number): boolean {
    const order = this.#lockOrder;
    let distinct = 0;
    for (let i = 0; i < count; i++) {
      const record = this.#heldRecords[i]!;
      let at = distinct;
      while (at > 0 && order[at - 1]! > record) at--;
      if (at > 0 && order[at - 1] === record) continue;
      order.copyWithin(at + 1, at, distinct);
      order[at] = record;
      distinct++;
    }
    for (let i = 0; i < distinct; i++) {
      const lock = this.#locks.take(2 * order[i]! + RECORD_LOCK);
      if (lock === LOCK.missed) {
        this.#letGo();
        return false;
      }
      this.#lockedCount = i + 1;
      if (lock === LOCK.broken) this.#repair(order[i]!, count);
    }
    return true;
  }

  #repair(record: number, count: number): void {
    for (let i = 0; i < count; i++) {
      if (this.#heldRecords[i] === record) repairRecord(this.#heldPlans[i]!, record);
    }
  }

  /** Whether every held record still is its handle's own, or the coarse one of a caller that still has none of its own. */
  #areStillRight(handles: Int32Array, count: number): boolean {
    const rows = this.#handles.rows;
    for (let i = 0; i < count; i++) {
      const row = this.#handles.at(handles[i]!);
      const plan = this.#heldPlans[i]!;
      const h0 = rows[row]!;
      const h1 = rows[row + 1]!;
      if (isCoarse(plan, this.#heldRecords[i]!)) {
        if (this.#locks.isShared && hasOwnRecord(plan, h0, h1)) return false;
      } else if (!isRecordOf(plan, this.#heldRecords[i]!, h0, h1)) {
        return false;
      }
    }
    return true;
  }

  #letGo(): void {
    while (this.#lockedCount > 0) {
      this.#lockedCount--;
      this.#locks.release(2 * this.#lockOrder[this.#lockedCount]! + RECORD_LOCK);
    }
  }

  #check(costs: Int32Array, count: number): Outcome {
    let outcome: Outcome = OUTCOME.admitted;
    for (let i = 0; i < count; i++) {
      const plan = this.#heldPlans[i]!;
      const cost = this.#costSoFar(costs, i);
      if (cost > plan.capacity) return OUTCOME.impossible;
      if (!fits(plan, this.#heldRecords[i]!, cost)) outcome = OUTCOME.refused;
    }
    return outcome;
  }

  /** Cost of position `i` plus that of earlier positions on the same record, so that one caller named twice is not checked twice against the same units. */
  #costSoFar(costs: Int32Array, i: number): number {
    let cost = costs[i]!;
    for (let j = 0; j < i; j++) {
      if (this.#heldRecords[j] === this.#heldRecords[i]) cost += costs[j]!;
    }
    return cost;
  }

  #describe(costs: Int32Array, count: number, report: LimitReport): void {
    report.violatedCount = 0;
    report.retryAfterMs = 0;
    for (let i = 0; i < count; i++) {
      const plan = this.#heldPlans[i]!;
      const record = this.#heldRecords[i]!;
      const cost = this.#costSoFar(costs, i);
      const shortage =
        cost > plan.capacity ? Number.POSITIVE_INFINITY : shortageOf(plan, record, cost);
      const retryAfterMs = shortage > 0 ? toMs(shortage) : 0;
      report.remaining[i] = remainingOf(plan, record);
      report.resetMs[i] = toMs(resetTicksOf(plan, record));
      report.retryAfterEachMs[i] = retryAfterMs;
      if (retryAfterMs > 0) {
        report.violated[report.violatedCount++] = i;
        report.retryAfterMs = Math.max(report.retryAfterMs, Math.ceil(retryAfterMs));
      }
    }
  }

  #book(i: number, handle: number, cost: number, reservation: Reservation): void {
    const row = this.#handles.at(handle);
    const rows = this.#handles.rows;
    const plan = this.#heldPlans[i]!;
    const record = this.#heldRecords[i]!;
    reservation.limit[i] = rows[row + LIMIT]! & 0xffff;
    reservation.record[i] = record;
    reservation.cost[i] = cost;
    reservation.identity[2 * i] = plan.i32[2 * record]!;
    reservation.identity[2 * i + 1] = plan.i32[2 * record + 1]!;
    chargeRefundable(plan, record, cost);
    reservation.bookedAt[i] = this.#ticks[BOOKED_AT]!;
  }

  #end(reservation: Reservation, nowMs: number, how: typeof settle): void {
    this.#ticks[NOW] = Math.floor(nowMs * TICKS_PER_MS);
    const count = reservation.count;
    reservation.count = 0;
    for (let i = 0; i < count; i++) {
      const plan = this.#plans[reservation.limit[i]!]!;
      const record = reservation.record[i]!;
      const lock = this.#locks.take(2 * record + RECORD_LOCK);
      // What cannot be ended now expires by itself, spent.
      if (lock === LOCK.missed) continue;
      if (lock === LOCK.broken) repairRecord(plan, record);
      const { identity, cost, bookedAt } = reservation;
      // A record that limited nobody any more may serve somebody else by now.
      if (isRecordOf(plan, record, identity[2 * i]!, identity[2 * i + 1]!)) {
        how(plan, record, cost[i]!, bookedAt[i]!);
      }
      this.#locks.release(2 * record + RECORD_LOCK);
    }
  }
}

/** Refuses without having looked: fails closed. */
function refuseAll(count: number, report: LimitReport): Outcome {
  report.violatedCount = count;
  report.retryAfterMs = OWN_REFUSAL_RETRY_MS;
  for (let i = 0; i < count; i++) {
    report.violated[i] = i;
    report.retryAfterEachMs[i] = OWN_REFUSAL_RETRY_MS;
    report.remaining[i] = 0;
    report.resetMs[i] = OWN_REFUSAL_RETRY_MS;
  }
  return OUTCOME.refused;
}
