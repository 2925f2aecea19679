import assert from "node:assert/strict";
import type { Clock } from "@tidegate/clock";
import { Bookings, overspend } from "./bookings.ts";
import { demandOf } from "./demand-statistics.ts";
import type { EmbeddedLimiter, EmbeddedStatistics } from "./embedded-limiter.ts";
import { HandleTable, LIMIT, RECORD } from "./handle-table.ts";
import { HeldRecords } from "./held-records.ts";
import { HolderLog, type HolderPlace } from "./holder-log.ts";
import { KeyedHash } from "./keyed-hash.ts";
import { charge, chargeDenied, fits, remainingOf, resetTicksOf, shortageOf } from "./limit-kind.ts";
import { NOW, OVERRUN, REFUSALS, SPILL_RECORDS, type LimitPlan } from "./limit-plan.ts";
import { takeSnapshot } from "./limit-snapshot.ts";
import { isRecordOf, keysIn, spillsOf, sweepTable, usedRecords } from "./limit-table.ts";
import {
  createLimitReport,
  OUTCOME,
  type LimitReport,
  type Outcome,
  type Reservation,
} from "./limiter.ts";
import { holderPlace, toPlans, type LimiterMemory } from "./limiter-memory.ts";
import type { LockOwner, RecordLocks } from "./record-lock.ts";
import { chargeShadow } from "./shadow-charge.ts";
import { TICKS_PER_MS, toMs } from "./ticks.ts";

/** What a refusal that is ours (no handle, lock not had in time) tells the caller to wait. */
const OWN_REFUSAL_RETRY_MS = 1_000;

/** The limiter of one thread over memory that it may share. Nothing between locking and letting go throws. */
export class TableLimiter implements EmbeddedLimiter {
  readonly #memory: LimiterMemory;
  readonly #plans: LimitPlan[];
  /** Of all plans; see there. */
  readonly #ticks: Float64Array;
  readonly #locks: RecordLocks;
  readonly #handles: HandleTable;
  readonly #hash: KeyedHash;
  readonly #held: HeldRecords;
  readonly #bookings: Bookings;
  /** For `admits`, where the short way does not do. */
  readonly #single = {
    handles: new Int32Array(1),
    costs: new Int32Array(1),
    report: createLimitReport(),
  };

  constructor(options: {
    readonly memory: LimiterMemory;
    readonly locks: RecordLocks;
    readonly maxHandles: number;
    /** What quotas read the calendar from. */
    readonly clock?: Clock | undefined;
    /** Where this thread writes down what it holds. */
    readonly holders?: HolderPlace | undefined;
  }) {
    const { memory, locks, maxHandles, clock } = options;
    if (clock === undefined && memory.definitions.some(({ kind }) => kind === "quota")) {
      throw new RangeError("Cannot make a limiter: a quota needs a clock");
    }
    this.#memory = memory;
    this.#plans = toPlans(memory, clock);
    // Without definitions there is nothing to ask, and nobody reads the time.
    this.#ticks = this.#plans[0]?.ticks ?? new Float64Array(NOW + 1);
    this.#locks = locks;
    this.#handles = new HandleTable(maxHandles);
    this.#hash = new KeyedHash(memory.secret);
    this.#held = new HeldRecords(this.#plans, locks, this.#handles);
    this.#bookings = new Bookings({
      plans: this.#plans,
      ticks: this.#ticks,
      locks,
      held: this.#held,
      log: options.holders && new HolderLog(options.holders),
    });
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
    if (count === 1) {
      const outcome = this.#acquireOne(handles[0]!, costs[0]!);
      if (outcome === OUTCOME.admitted) return OUTCOME.admitted;
      if (outcome === OUTCOME.refused) {
        this.#refuse(costs, 1, report);
        this.#held.letGo();
        return OUTCOME.refused;
      }
    }
    if (!this.#held.hold(handles, costs, count)) return refuseAll(count, report);
    const outcome = this.#check(costs, count);
    if (outcome === OUTCOME.admitted) {
      const { plans, records } = this.#held;
      for (let i = 0; i < count; i++) {
        const plan = plans[i]!;
        if (!plan.isShadow) charge(plan, records[i]!, costs[i]!);
        else chargeShadow(this.#held, { position: i, cost: costs[i]!, how: charge });
      }
    } else {
      this.#refuse(costs, count, report);
    }
    this.#held.letGo();
    return outcome;
  }

  admits(handle: number, cost: number, nowMs: number): boolean {
    this.#ticks[NOW] = Math.floor(nowMs * TICKS_PER_MS);
    const outcome = this.#acquireOne(handle, cost);
    if (outcome === OUTCOME.admitted) return true;
    if (outcome === OUTCOME.refused) {
      this.#countRefusal(0, cost);
      this.#held.letGo();
      return false;
    }
    const { handles, costs, report } = this.#single;
    handles[0] = handle;
    costs[0] = cost;
    return this.acquire(handles, costs, 1, nowMs, report) === OUTCOME.admitted;
  }

  tryAcquire(handles: Int32Array, costs: Int32Array, count: number, nowMs: number): boolean {
    this.#ticks[NOW] = Math.floor(nowMs * TICKS_PER_MS);
    if (count === 1) {
      const outcome = this.#acquireOne(handles[0]!, costs[0]!);
      // Only then the record is held.
      if (outcome === OUTCOME.refused) this.#held.letGo();
      return outcome === OUTCOME.admitted;
    }
    if (!this.#held.hold(handles, costs, count)) return false;
    const { plans, records } = this.#held;
    let isAdmitted = this.#check(costs, count) === OUTCOME.admitted;
    for (let i = 0; i < count; i++) if (plans[i]!.isShadow) isAdmitted = false;
    for (let i = 0; isAdmitted && i < count; i++) charge(plans[i]!, records[i]!, costs[i]!);
    this.#held.letGo();
    return isAdmitted;
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
    if (!this.#held.hold(handles, costs, count)) return refuseAll(count, report);
    const outcome = this.#check(costs, count);
    if (outcome === OUTCOME.admitted) {
      this.#bookings.book(handles, costs, count, reservation);
    } else {
      this.#refuse(costs, count, report);
    }
    this.#held.letGo();
    return outcome;
  }

  settle(reservation: Reservation, nowMs: number, actual?: Int32Array): number {
    this.#ticks[NOW] = Math.floor(nowMs * TICKS_PER_MS);
    return this.#bookings.settle(reservation, actual);
  }

  refund(reservation: Reservation, nowMs: number): void {
    this.#ticks[NOW] = Math.floor(nowMs * TICKS_PER_MS);
    this.#bookings.refund(reservation);
  }

  finish(reservation: Reservation, nowMs: number): void {
    this.#ticks[NOW] = Math.floor(nowMs * TICKS_PER_MS);
    this.#bookings.finish(reservation);
  }

  renew(reservation: Reservation, nowMs: number): boolean {
    this.#ticks[NOW] = Math.floor(nowMs * TICKS_PER_MS);
    return this.#bookings.renew(reservation);
  }

  reclaimHeld(life: LockOwner, nowMs: number): number {
    this.#ticks[NOW] = Math.floor(nowMs * TICKS_PER_MS);
    const place = holderPlace(this.#memory, life);
    return place === undefined ? 0 : this.#bookings.reclaim(place);
  }

  debit(handles: Int32Array, costs: Int32Array, count: number, nowMs: number): number {
    this.#ticks[NOW] = Math.floor(nowMs * TICKS_PER_MS);
    let overrun = 0;
    for (let i = 0; i < count; i++) {
      const one = handles.subarray(i, i + 1);
      const cost = costs.subarray(i, i + 1);
      if (one[0]! < 0 || !this.#held.hold(one, cost, 1)) continue;
      overrun += overspend(this.#held.plans[0]!, this.#held.records[0]!, cost[0]!);
      this.#held.letGo();
    }
    return overrun;
  }

  peek(
    handles: Int32Array,
    costs: Int32Array,
    count: number,
    nowMs: number,
    report: LimitReport,
  ): Outcome {
    this.#ticks[NOW] = Math.floor(nowMs * TICKS_PER_MS);
    if (!this.#held.hold(handles, costs, count)) return refuseAll(count, report);
    const outcome = this.#check(costs, count);
    this.#describe(costs, count, report);
    this.#held.letGo();
    return outcome;
  }

  sweep(nowMs: number, maxRecords: number): number {
    this.#ticks[NOW] = Math.floor(nowMs * TICKS_PER_MS);
    const each = Math.ceil(maxRecords / this.#plans.length);
    let reclaimed = 0;
    for (const plan of this.#plans) reclaimed += sweepTable(plan, this.#locks, each);
    return reclaimed;
  }

  statistics(): EmbeddedStatistics {
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
          refusals: plan.i32[2 * plan.header + REFUSALS]! >>> 0,
          overrun: plan.i32[2 * plan.header + OVERRUN]! >>> 0,
          ...(plan.isShadow && { demand: demandOf(plan, definition, usedRecords(plan)) }),
        };
      }),
    };
  }

  snapshot(nowMs: number, wallMs: number): Uint8Array {
    this.#ticks[NOW] = Math.floor(nowMs * TICKS_PER_MS);
    return takeSnapshot({ memory: this.#memory, plans: this.#plans, locks: this.#locks, wallMs });
  }

  /**
   * The short way of one limit, which most messages have. When refused, the record is held as after `hold`; any
   * other outcome leaves the question to the long way, with nothing held and nothing charged.
   */
  #acquireOne(handle: number, cost: number): Outcome {
    if (handle < 0 || cost < 0) return OUTCOME.impossible;
    const rows = this.#handles.rows;
    const row = this.#handles.at(handle);
    const plan = this.#plans[rows[row + LIMIT]! & 0xffff]!;
    const record = rows[row + RECORD]!;
    // Not the coarse ones: whether a caller still belongs there is a longer question.
    if (!isRecordOf(plan, record, rows[row]!, rows[row + 1]!)) return OUTCOME.impossible;
    if (plan.isShadow || cost > plan.capacity) return OUTCOME.impossible;
    if (this.#locks.isShared && !this.#held.lockOne(plan, record, rows, row)) {
      return OUTCOME.impossible;
    }
    if (!fits(plan, record, cost)) {
      this.#held.plans[0] = plan;
      this.#held.records[0] = record;
      return OUTCOME.refused;
    }
    charge(plan, record, cost);
    if (this.#locks.isShared) this.#held.letGo();
    return OUTCOME.admitted;
  }

  #check(costs: Int32Array, count: number): Outcome {
    const { plans, records } = this.#held;
    let outcome: Outcome = OUTCOME.admitted;
    for (let i = 0; i < count; i++) {
      const plan = plans[i]!;
      const cost = this.#held.costSoFar(costs, i);
      const isImpossible = cost > plan.capacity;
      if (plan.isShadow) {
        this.#held.excused[i] = isImpossible || !fits(plan, records[i]!, cost) ? 1 : 0;
      } else if (isImpossible) {
        outcome = OUTCOME.impossible;
      } else if (outcome === OUTCOME.admitted && !fits(plan, records[i]!, cost)) {
        outcome = OUTCOME.refused;
      }
    }
    return outcome;
  }

  /** Counts the refusal where it belongs, charges the attempt where that is asked for, and fills the report. */
  #refuse(costs: Int32Array, count: number, report: LimitReport): void {
    this.#describe(costs, count, report);
    const isImpossible = report.retryAfterMs === Number.POSITIVE_INFINITY;
    let mustDescribe = false;
    for (let at = 0; at < report.violatedCount; at++) {
      const i = report.violated[at]!;
      // What can never fit was no attempt at the limit.
      if (this.#countRefusal(i, isImpossible ? 0 : costs[i]!)) mustDescribe = true;
    }
    if (mustDescribe) this.#describe(costs, count, report);
  }

  /** Counts a refusal of the limit held at `position`, and charges the attempt where that is asked for; returns whether it did. */
  #countRefusal(position: number, cost: number): boolean {
    const plan = this.#held.plans[position]!;
    const at = 2 * plan.header + REFUSALS;
    if (this.#locks.isShared) Atomics.add(plan.i32, at, 1);
    else plan.i32[at] = plan.i32[at]! + 1;
    if (!plan.countsDenied || cost === 0) return false;
    chargeDenied(plan, this.#held.records[position]!, cost);
    return true;
  }

  #describe(costs: Int32Array, count: number, report: LimitReport): void {
    const { plans, records } = this.#held;
    report.violatedCount = 0;
    report.retryAfterMs = 0;
    for (let i = 0; i < count; i++) {
      const plan = plans[i]!;
      const record = records[i]!;
      const cost = this.#held.costSoFar(costs, i);
      const shortage =
        cost > plan.capacity ? Number.POSITIVE_INFINITY : shortageOf(plan, record, cost);
      const retryAfterMs = shortage > 0 && !plan.isShadow ? toMs(shortage) : 0;
      report.remaining[i] = remainingOf(plan, record);
      report.resetMs[i] = toMs(resetTicksOf(plan, record));
      report.retryAfterEachMs[i] = retryAfterMs;
      if (retryAfterMs > 0) {
        report.violated[report.violatedCount++] = i;
        report.retryAfterMs = Math.max(report.retryAfterMs, Math.ceil(retryAfterMs));
      }
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
