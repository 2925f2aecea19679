import assert from "node:assert/strict";
import {
  createLimitReport,
  MAX_LIMITS_AT_ONCE,
  NO_HANDLE,
  OUTCOME,
  type Limiter,
  type LimitReport,
  type Outcome,
} from "../limiter.ts";
import { FIRST_SHARED_HANDLE, type AccountTable } from "./account-table.ts";
import type { AskedAccount } from "./ask-store.ts";
import type { LeaseAccount } from "./lease-account.ts";
import type { LimitStore } from "./limit-store.ts";
import { WHILE_LOST, type LostStore } from "./lost-store.ts";
import {
  createSharedReservation,
  PENDING,
  SHARED_OUTCOME,
  type SharedOutcome,
  type SharedReservation,
} from "./shared-limiter.ts";

export interface SharedCall {
  readonly handles: Int32Array;
  readonly costs: Int32Array;
  readonly count: number;
}

/** What is told when the store is lost: the breaker's longest pause. */
const LOST_RETRY_MS = 1_000;

/** How one position of a call is decided. */
const HOW = {
  free: 0,
  local: 1,
  lease: 2,
  here: 3,
  ask: 4,
  denied: 5,
  lost: 6,
  impossible: 7,
} as const;

/**
 * Decides one call with what this node has in hand: leases, local limits, and what stands in while the store is lost. Synchronous; its
 * arrays are refilled by every `weigh`, and the other methods speak of the call weighed last.
 */
export class CallScale {
  readonly #local: Limiter | undefined;
  readonly #store: LimitStore;
  readonly #accounts: AccountTable;
  readonly #lost: LostStore;
  readonly #how = new Int32Array(MAX_LIMITS_AT_ONCE);
  readonly #account: (LeaseAccount | undefined)[] = Array.from({ length: MAX_LIMITS_AT_ONCE });
  readonly #localHandles = new Int32Array(MAX_LIMITS_AT_ONCE);
  readonly #localCosts = new Int32Array(MAX_LIMITS_AT_ONCE);
  readonly #localPositions = new Int32Array(MAX_LIMITS_AT_ONCE);
  readonly #localReport = createLimitReport();
  readonly #scratch = createSharedReservation();
  #localCount = 0;

  constructor(options: {
    readonly local: Limiter | undefined;
    readonly store: LimitStore;
    readonly accounts: AccountTable;
    readonly lost: LostStore;
  }) {
    this.#local = options.local;
    this.#store = options.store;
    this.#accounts = options.accounts;
    this.#lost = options.lost;
  }

  /** Whether the call has local limits too. */
  get hasLocal(): boolean {
    return this.#localCount > 0;
  }

  /** What the shared limits say, and how each position is to be decided. Spends nothing. */
  weigh(
    { handles, costs, count }: SharedCall,
    nowMs: number,
    mayAsk: boolean,
  ): SharedOutcome | typeof PENDING {
    assert(count > 0 && count <= MAX_LIMITS_AT_ONCE, "too many limits at once");
    this.#lost.begin();
    this.#localCount = 0;
    let worst: SharedOutcome | typeof PENDING = SHARED_OUTCOME.admitted;
    for (let i = 0; i < count; i++) {
      const how = this.#weighOne(handles[i]!, costs, i, nowMs, mayAsk && this.#store.isUp);
      this.#how[i] = how;
      if (how === HOW.impossible) worst = SHARED_OUTCOME.impossible;
      else if (worst === SHARED_OUTCOME.impossible) continue;
      else if (how === HOW.denied) worst = SHARED_OUTCOME.refused;
      else if (worst === SHARED_OUTCOME.refused) continue;
      else if (how === HOW.lost) worst = SHARED_OUTCOME.unavailable;
      else if (how === HOW.ask && worst === SHARED_OUTCOME.admitted) worst = PENDING;
    }
    return worst;
  }

  #weighOne(handle: number, costs: Int32Array, i: number, nowMs: number, isUp: boolean): number {
    this.#account[i] = undefined;
    if (handle === NO_HANDLE && this.#local === undefined) return HOW.denied;
    if (handle < FIRST_SHARED_HANDLE) {
      this.#localPositions[this.#localCount] = i;
      this.#localHandles[this.#localCount] = handle;
      this.#localCosts[this.#localCount] = costs[i]!;
      this.#localCount++;
      return HOW.local;
    }
    const account = this.#accounts.at(handle);
    this.#account[i] = account;
    if (costs[i] === 0) return HOW.free;
    assert(costs[i]! > 0, "a cost is negative");
    // One caller named twice is not checked twice against the same units.
    let cost = costs[i]!;
    for (let j = 0; j < i; j++) if (this.#account[j] === account) cost += costs[j]!;
    if (cost > account.plan.sharedCapacity) return HOW.impossible;
    if (account.covers(cost, nowMs)) return HOW.lease;
    if (account.isDenied(cost, nowMs)) return HOW.denied;
    if (isUp && nowMs >= account.unknownUntilMs) return HOW.ask;
    const how = this.#lost.consider(account, costs[i]!, i);
    if (how === WHILE_LOST.deny) return HOW.lost;
    return how === WHILE_LOST.here ? HOW.here : HOW.free;
  }

  /** Takes what `weigh` has just found to be there, of local limits, fallbacks and leases: all or none. */
  take(
    { costs, count }: SharedCall,
    nowMs: number,
    reservation: SharedReservation | undefined,
  ): SharedOutcome {
    const local = this.#takeLocal(nowMs, reservation);
    if (local !== SHARED_OUTCOME.admitted) return local;
    for (let i = 0; i < count; i++) {
      const account = this.#account[i];
      if (account === undefined || this.#how[i] !== HOW.lease) continue;
      account.spend(costs[i]!);
      if (reservation === undefined) continue;
      const note = reservation.notes[reservation.sharedCount++]!;
      note.account = account;
      note.from = "lease";
      note.units = costs[i]!;
      note.positions = 1 << i;
      note.seq = account.seq;
    }
    return SHARED_OUTCOME.admitted;
  }

  #takeLocal(nowMs: number, reservation: SharedReservation | undefined): SharedOutcome {
    if (this.#localCount === 0) return this.#takeHere(nowMs);
    assert(this.#local !== undefined, "no such limit");
    // Of both only this one can be undone, so it goes first.
    const booking = reservation ?? this.#scratch;
    const outcome = this.#local.reserve(
      this.#localHandles,
      this.#localCosts,
      this.#localCount,
      nowMs,
      this.#localReport,
      booking,
    );
    if (outcome !== OUTCOME.admitted) return outcome;
    if (reservation !== undefined) {
      reservation.localPositions = 0;
      for (let at = 0; at < this.#localCount; at++)
        reservation.localPositions |= 1 << this.#localPositions[at]!;
    }
    const here = this.#takeHere(nowMs);
    if (here !== SHARED_OUTCOME.admitted) this.#local.refund(booking, nowMs);
    else if (reservation === undefined) this.#local.settle(booking, nowMs);
    return here;
  }

  #takeHere(nowMs: number): SharedOutcome {
    return this.#lost.acquire(nowMs) < 0 ? SHARED_OUTCOME.admitted : SHARED_OUTCOME.unavailable;
  }

  peekLocal(nowMs: number): Outcome {
    assert(this.#local !== undefined, "no such limit");
    return this.#local.peek(
      this.#localHandles,
      this.#localCosts,
      this.#localCount,
      nowMs,
      this.#localReport,
    );
  }

  /** The positions that `weigh` has just found to need the store, or all shared ones; merged by account. */
  asked({ costs, count }: SharedCall, which: "needed" | "shared" = "needed"): AskedAccount[] {
    const asked = new Map<LeaseAccount, { cost: number; positions: number }>();
    for (let i = 0; i < count; i++) {
      const account = this.#account[i];
      if (account !== undefined && (this.#how[i] === HOW.ask || which === "shared"))
        asked.set(account, {
          cost: (asked.get(account)?.cost ?? 0) + costs[i]!,
          positions: (asked.get(account)?.positions ?? 0) | (1 << i),
        });
    }
    return Array.from(asked, ([account, rest]) => ({ account, ...rest }));
  }

  /** Fills the report from what this node knows. Returns `outcome`. */
  describe(
    { costs, count }: SharedCall,
    nowMs: number,
    report: LimitReport,
    outcome: SharedOutcome,
  ): SharedOutcome {
    report.violatedCount = 0;
    report.retryAfterMs = 0;
    if (this.#localCount > 0) this.#describeLocal(nowMs, report);
    for (let i = 0; i < count; i++) {
      const account = this.#account[i];
      if (account !== undefined) {
        report.remaining[i] = account.left + account.free;
        report.resetMs[i] = Math.max(0, account.resetAtMs - nowMs);
        report.retryAfterEachMs[i] = this.#retryAfterMs(i, costs[i]!, nowMs, outcome);
      } else if (this.#how[i] !== HOW.local) {
        report.remaining[i] = 0;
        report.resetMs[i] = LOST_RETRY_MS;
        report.retryAfterEachMs[i] = LOST_RETRY_MS;
      }
      if (report.retryAfterEachMs[i]! <= 0) continue;
      report.violated[report.violatedCount++] = i;
      report.retryAfterMs = Math.max(report.retryAfterMs, Math.ceil(report.retryAfterEachMs[i]!));
    }
    return outcome;
  }

  #describeLocal(nowMs: number, report: LimitReport): void {
    this.peekLocal(nowMs);
    for (let at = 0; at < this.#localCount; at++) {
      const i = this.#localPositions[at]!;
      report.remaining[i] = this.#localReport.remaining[at]!;
      report.resetMs[i] = this.#localReport.resetMs[at]!;
      report.retryAfterEachMs[i] = this.#localReport.retryAfterEachMs[at]!;
    }
  }

  /** 0 where position `i` is not why the call was not admitted. */
  #retryAfterMs(i: number, cost: number, nowMs: number, outcome: SharedOutcome): number {
    const account = this.#account[i]!;
    const how = this.#how[i]!;
    if (how === HOW.impossible) return Number.POSITIVE_INFINITY;
    if (outcome === SHARED_OUTCOME.unavailable) {
      if (how !== HOW.lost && how !== HOW.here) return 0;
      return Math.max(LOST_RETRY_MS, account.unknownUntilMs - nowMs);
    }
    if (outcome !== SHARED_OUTCOME.refused) return 0;
    if (how === HOW.denied || account.isDenied(cost, nowMs))
      return Math.max(1, account.denyUntilMs - nowMs);
    // The store said no, and by now its wait is over.
    return how === HOW.ask && account.free < cost ? 1 : 0;
  }
}
