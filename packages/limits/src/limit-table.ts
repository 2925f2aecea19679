import { flushMeter } from "./demand-meter.ts";
import { initRecord, isIdle, repairRecord } from "./limit-kind.ts";
import { SPILL_RECORDS, type LimitPlan } from "./limit-plan.ts";
import { LOCK, type RecordLocks } from "./record-lock.ts";

/**
 * The keyed table of one limit: chains of records in flat memory.
 *
 * Records lie densely and never move: a new one comes from the free list, else from the end. So growth is one
 * addition, a handle can point at its record, and addresses order the locks. The memory is reserved at the start and the
 * operating system commits a page when it is first written, which is what grows.
 *
 * When nothing is free and nothing can be reclaimed, the caller is sent to one of 64 coarse records, by hash. A
 * limiting record is never dropped to make room: an attacker with many keys could otherwise wash away a budget.
 * When a caller gets a record of its own while its coarse record still limits, the record begins as a copy
 * of the coarse one, so that the move gives nothing back.
 *
 * Header, in 32-bit elements: 0 structure lock, 1 version (odd while chains change), 2 records ever
 * used, 3 head of the free list, 4 records in use, 5 spills, 6 sweep position; the others are in `limit-plan.ts`.
 */
const STRUCTURE_LOCK = 0;
const VERSION = 1;
const USED = 2;
const FREE = 3;
const KEYS = 4;
const SPILLS = 5;
const SWEEP = 6;

// Elements of a record's header.
const IDENTITY_0 = 0;
const IDENTITY_1 = 1;
const NEXT = 2;
export const RECORD_LOCK = 3;

/** Records an insertion examines to find idle ones. Two would keep a table from growing; 8 find one soon in a table that is nearly full, and cost a flood below a microsecond each. */
export const EXAMINED_PER_INSERTION = 8;

/** A chain is about one record long. A reader without the structure lock that walks this far was led astray by a change and starts again. */
const LONGEST_WALK = 256;

/** First word of record number `number`. */
export function recordAt(plan: LimitPlan, number: number): number {
  return plan.firstRecord + number * plan.recordWords;
}

export function isRecordOf(plan: LimitPlan, record: number, h0: number, h1: number): boolean {
  return plan.i32[2 * record + IDENTITY_0] === h0 && plan.i32[2 * record + IDENTITY_1] === h1;
}

/** Makes the coarse records ready. Once, by whoever creates the memory. */
export function initTable(plan: LimitPlan): void {
  plan.i32[2 * plan.header + USED] = SPILL_RECORDS;
  for (let number = 0; number < SPILL_RECORDS; number++) {
    initRecord(plan, recordAt(plan, number));
  }
}

/**
 * The first word of this identity's record, made if need be; of a coarse one when the table is full;
 * -1 when a lock could not be had in time.
 *
 * @param examined how many records may be looked at for idle ones to take back; 0 takes none back
 */
export function findOrInsert(
  plan: LimitPlan,
  locks: RecordLocks,
  h0: number,
  h1: number,
  examined: number,
): number {
  const found = find(plan, h0, h1);
  if (found !== 0) return recordAt(plan, found);
  if (!lockStructure(plan, locks)) return -1;
  let number = find(plan, h0, h1);
  if (number === 0) {
    if (mustReclaim(plan)) sweepLocked(plan, locks, examined);
    number = insert(plan, locks, h0, h1);
  }
  locks.release(2 * plan.header + STRUCTURE_LOCK);
  return number < 0 ? -1 : recordAt(plan, number);
}

/**
 * Whether insertions take back idle records: from a table seven eighths full on. Below that, callers whose budget is full again
 * between two calls would lose their record to each other and make it anew each time, at ten times the
 * cost of a decision. `sweep` takes back all the same.
 */
function mustReclaim(plan: LimitPlan): boolean {
  return plan.i32[2 * plan.header + USED]! >= plan.records * 0.875;
}

/** Whether a record is one of the coarse ones. */
export function isCoarse(plan: LimitPlan, record: number): boolean {
  return record < recordAt(plan, SPILL_RECORDS);
}

/**
 * Whether this identity has a record of its own, asked while its coarse record is locked: nobody can then make one,
 * since that needs the same lock. Chains may change meanwhile, so the answer counts only
 * if the version stood still; after some tries the answer is "yes", which sends the caller round again.
 */
export function hasOwnRecord(plan: LimitPlan, h0: number, h1: number): boolean {
  const version = 2 * plan.header + VERSION;
  for (let tries = 0; tries < 64; tries++) {
    const before = Atomics.load(plan.i32, version);
    if ((before & 1) === 1) continue;
    const found = find(plan, h0, h1);
    if (Atomics.load(plan.i32, version) === before) return found !== 0;
  }
  return true;
}

/** Examines up to `count` records at the sweep position and takes back the idle ones. */
export function sweepTable(plan: LimitPlan, locks: RecordLocks, count: number): number {
  if (!lockStructure(plan, locks)) return 0;
  const reclaimed = sweepLocked(plan, locks, count);
  locks.release(2 * plan.header + STRUCTURE_LOCK);
  return reclaimed;
}

export function keysIn(plan: LimitPlan): number {
  return plan.i32[2 * plan.header + KEYS]!;
}

/** Records ever used, the coarse ones included: their numbers are [0, usedRecords). */
export function usedRecords(plan: LimitPlan): number {
  return plan.i32[2 * plan.header + USED]!;
}

/** Declares that coarse records limit somebody, as after a spill. */
export function markSpilled(plan: LimitPlan): void {
  const at = 2 * plan.header + SPILLS;
  plan.i32[at] = plan.i32[at]! || 1;
}

export function spillsOf(plan: LimitPlan): number {
  return plan.i32[2 * plan.header + SPILLS]! >>> 0;
}

function find(plan: LimitPlan, h0: number, h1: number): number {
  const i32 = plan.i32;
  let number = i32[plan.heads + (h0 & plan.headsMask)]!;
  for (let walked = 0; number !== 0 && walked < LONGEST_WALK; walked++) {
    const record = 2 * recordAt(plan, number);
    if (i32[record + IDENTITY_0] === h0 && i32[record + IDENTITY_1] === h1) return number;
    number = i32[record + NEXT]!;
  }
  return 0;
}

function insert(plan: LimitPlan, locks: RecordLocks, h0: number, h1: number): number {
  const { i32 } = plan;
  const header = 2 * plan.header;
  const coarse = h1 & (SPILL_RECORDS - 1);

  const number = takeFree(plan);
  if (number === 0) {
    // Never 0 again, not even after 2^32 of them: it says that coarse records may limit.
    i32[header + SPILLS] = (i32[header + SPILLS]! + 1) | 0 || 1;
    return coarse;
  }

  // Taken before chains change: whoever holds the coarse record may be waiting for a still version.
  const coarseRecord = recordAt(plan, coarse);
  const hasSpilled = i32[header + SPILLS] !== 0;
  if (hasSpilled) {
    const lock = locks.take(2 * coarseRecord + RECORD_LOCK);
    if (lock === LOCK.missed) {
      giveBack(plan, number);
      return -1;
    }
    if (lock === LOCK.broken) repairRecord(plan, coarseRecord);
  }
  const record = recordAt(plan, number);
  initRecord(plan, record);
  if (hasSpilled && !isIdle(plan, coarseRecord)) {
    copyState(plan, coarseRecord, record);
  }

  beginChange(plan);
  const head = plan.heads + (h0 & plan.headsMask);
  i32[2 * record + NEXT] = i32[head]!;
  i32[2 * record + IDENTITY_0] = h0;
  i32[2 * record + IDENTITY_1] = h1;
  i32[head] = number;
  i32[header + KEYS] = i32[header + KEYS]! + 1;
  endChange(plan);
  if (hasSpilled) locks.release(2 * coarseRecord + RECORD_LOCK);
  return number;
}

function sweepLocked(plan: LimitPlan, locks: RecordLocks, count: number): number {
  const { i32 } = plan;
  const header = 2 * plan.header;
  const used = i32[header + USED]!;
  let position = i32[header + SWEEP]!;
  let reclaimed = 0;
  for (let left = Math.min(count, used - SPILL_RECORDS); left > 0; left--) {
    if (position < SPILL_RECORDS || position >= used) position = SPILL_RECORDS;
    const number = position++;
    const record = recordAt(plan, number);
    if ((i32[2 * record + IDENTITY_0]! | i32[2 * record + IDENTITY_1]!) === 0) continue;
    // Only without waiting: whoever holds it uses it, so it is not idle.
    const lock = locks.tryTake(2 * record + RECORD_LOCK);
    if (lock === LOCK.missed) continue;
    if (lock === LOCK.broken) repairRecord(plan, record);
    if (isIdle(plan, record)) {
      if (plan.meterAt !== 0) flushMeter(plan, record);
      unlink(plan, number, record);
      reclaimed++;
    }
    locks.release(2 * record + RECORD_LOCK);
  }
  i32[header + SWEEP] = position;
  return reclaimed;
}

/**
 * Each step leaves a sound table if the thread ends after it: at worst one record is lost to the free list.
 */
function unlink(plan: LimitPlan, number: number, record: number): void {
  const { i32 } = plan;
  const head = plan.heads + (i32[2 * record + IDENTITY_0]! & plan.headsMask);
  const next = i32[2 * record + NEXT]!;
  beginChange(plan);
  if (i32[head] === number) {
    i32[head] = next;
  } else {
    let before = i32[head]!;
    while (before !== 0) {
      const at = 2 * recordAt(plan, before) + NEXT;
      if (i32[at] === number) {
        i32[at] = next;
        break;
      }
      before = i32[at]!;
    }
  }
  i32[2 * record + IDENTITY_0] = 0;
  i32[2 * record + IDENTITY_1] = 0;
  i32[2 * plan.header + KEYS] = i32[2 * plan.header + KEYS]! - 1;
  giveBack(plan, number);
  endChange(plan);
}

function takeFree(plan: LimitPlan): number {
  const { i32 } = plan;
  const header = 2 * plan.header;
  const free = i32[header + FREE]!;
  if (free !== 0) {
    i32[header + FREE] = i32[2 * recordAt(plan, free) + NEXT]!;
    return free;
  }
  const used = i32[header + USED]!;
  if (used === plan.records) return 0;
  i32[header + USED] = used + 1;
  return used;
}

function giveBack(plan: LimitPlan, number: number): void {
  const { i32 } = plan;
  i32[2 * recordAt(plan, number) + NEXT] = i32[2 * plan.header + FREE]!;
  i32[2 * plan.header + FREE] = number;
}

function copyState(plan: LimitPlan, from: number, to: number): void {
  // Not the meter: the coarse record's is of many callers.
  const words = plan.meterAt === 0 ? plan.recordWords : plan.meterAt;
  plan.f64.copyWithin(to + 2, from + 2, from + words);
}

function lockStructure(plan: LimitPlan, locks: RecordLocks): boolean {
  const lock = locks.take(2 * plan.header + STRUCTURE_LOCK);
  // A thread that ended while changing chains left the version odd.
  if (lock === LOCK.broken && (plan.i32[2 * plan.header + VERSION]! & 1) === 1) endChange(plan);
  return lock !== LOCK.missed;
}

function beginChange(plan: LimitPlan): void {
  Atomics.add(plan.i32, 2 * plan.header + VERSION, 1);
}

function endChange(plan: LimitPlan): void {
  Atomics.add(plan.i32, 2 * plan.header + VERSION, 1);
}
