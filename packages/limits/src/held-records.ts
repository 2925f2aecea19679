import assert from "node:assert/strict";
import { LIMIT, RECORD, type HandleTable } from "./handle-table.ts";
import { repairRecord } from "./limit-kind.ts";
import type { LimitPlan } from "./limit-plan.ts";
import {
  EXAMINED_PER_INSERTION,
  findOrInsert,
  hasOwnRecord,
  isCoarse,
  isRecordOf,
  RECORD_LOCK,
} from "./limit-table.ts";
import { MAX_LIMITS_AT_ONCE } from "./limiter.ts";
import { LOCK, type RecordLocks } from "./record-lock.ts";

/** Attempts to have all records locked and still the right ones; each fails only if somebody else made progress. */
const HOLD_ATTEMPTS = 16;

/**
 * The records of the call in progress: found, and locked in ascending order of address, so that two calls never wait
 * for each other. One per thread, refilled for each call.
 */
export class HeldRecords {
  /** Plan and first word of the record at each position of the call. Good between `hold` and `letGo`. */
  readonly plans: LimitPlan[];
  readonly records = new Int32Array(MAX_LIMITS_AT_ONCE);
  /** 1 at each position that a limit in shadow mode lets pass uncharged; written by whoever checks. */
  readonly excused = new Uint8Array(MAX_LIMITS_AT_ONCE);
  readonly #all: readonly LimitPlan[];
  readonly #locks: RecordLocks;
  readonly #handles: HandleTable;
  readonly #lockOrder = new Int32Array(MAX_LIMITS_AT_ONCE);
  #lockedCount = 0;

  constructor(plans: readonly LimitPlan[], locks: RecordLocks, handles: HandleTable) {
    this.#all = plans;
    this.#locks = locks;
    this.#handles = handles;
    this.plans = Array.from({ length: MAX_LIMITS_AT_ONCE }, () => plans[0]!);
  }

  /** Finds and locks the records of all handles. False, with nothing held, when that cannot be done: the call is then refused. */
  hold(handles: Int32Array, costs: Int32Array, count: number): boolean {
    if (count < 1 || count > MAX_LIMITS_AT_ONCE) assert.fail("no limits, or too many at once");
    for (let attempt = 0; attempt < HOLD_ATTEMPTS; attempt++) {
      let hasLookedUp = false;
      // The first look-up may take back what the second one needs, an idle record of the same call; so later rounds take back none.
      const examined = attempt === 0 ? EXAMINED_PER_INSERTION : 0;
      for (let i = 0; i < count; i++) {
        if (handles[i]! < 0) return false;
        if (costs[i]! < 0) assert.fail("a cost is negative");
        const row = this.#handles.at(handles[i]!);
        const rows = this.#handles.rows;
        const plan = this.#all[rows[row + LIMIT]! & 0xffff]!;
        let record = rows[row + RECORD]!;
        if (!isRecordOf(plan, record, rows[row]!, rows[row + 1]!)) {
          record = findOrInsert(plan, this.#locks, rows[row]!, rows[row + 1]!, examined);
          if (record < 0) return false;
          rows[row + RECORD] = record;
          hasLookedUp = true;
        }
        this.plans[i] = plan;
        this.records[i] = record;
      }
      // Alone, nothing can have changed unless a look-up of ours reclaimed a record found before it.
      if (!this.#locks.isShared && !hasLookedUp) return true;
      if (!this.#lockAll(count)) return false;
      if (this.#areStillRight(handles, count)) return true;
      this.letGo();
    }
    return false;
  }

  /** Index of the limit that a handle belongs to. */
  limitOf(handle: number): number {
    return this.#handles.rows[this.#handles.at(handle) + LIMIT]! & 0xffff;
  }

  /** Locks one record if it still is that of the row of handles; false, with nothing held, when not. */
  lockOne(plan: LimitPlan, record: number, rows: Int32Array, row: number): boolean {
    const lock = this.#locks.take(2 * record + RECORD_LOCK);
    if (lock === LOCK.missed) return false;
    if (lock === LOCK.broken) repairRecord(plan, record);
    this.#lockOrder[0] = record;
    this.#lockedCount = 1;
    if (isRecordOf(plan, record, rows[row]!, rows[row + 1]!)) return true;
    this.letGo();
    return false;
  }

  letGo(): void {
    while (this.#lockedCount > 0) {
      this.#lockedCount--;
      this.#locks.release(2 * this.#lockOrder[this.#lockedCount]! + RECORD_LOCK);
    }
  }

  /** Cost of position `i` plus that of earlier positions on the same record, so that one caller named twice is not checked twice against the same units. */
  costSoFar(costs: Int32Array, i: number): number {
    let cost = costs[i]!;
    for (let j = 0; j < i; j++) {
      if (this.records[j] === this.records[i]) cost += costs[j]!;
    }
    return cost;
  }

  /** Locks the held records, each once, in ascending order of address. */
  #lockAll(count: number): boolean {
    const order = this.#lockOrder;
    let distinct = 0;
    for (let i = 0; i < count; i++) {
      const record = this.records[i]!;
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
        this.letGo();
        return false;
      }
      this.#lockedCount = i + 1;
      if (lock === LOCK.broken) this.#repair(order[i]!, count);
    }
    return true;
  }

  #repair(record: number, count: number): void {
    for (let i = 0; i < count; i++) {
      if (this.records[i] === record) repairRecord(this.plans[i]!, record);
    }
  }

  /** Whether every held record still is its handle's own, or the coarse one of a caller that still has none of its own. */
  #areStillRight(handles: Int32Array, count: number): boolean {
    const rows = this.#handles.rows;
    for (let i = 0; i < count; i++) {
      const row = this.#handles.at(handles[i]!);
      const plan = this.plans[i]!;
      const h0 = rows[row]!;
      const h1 = rows[row + 1]!;
      if (isCoarse(plan, this.records[i]!)) {
        if (this.#locks.isShared && hasOwnRecord(plan, h0, h1)) return false;
      } else if (!isRecordOf(plan, this.records[i]!, h0, h1)) {
        return false;
      }
    }
    return true;
  }
}
