import assert from "node:assert/strict";
import type { Clock, Random } from "@tidegate/clock";
import { DEFAULT_RESERVATION_MS } from "../create-limiter.ts";
import { MAX_LIMITS_AT_ONCE, NO_HANDLE, OUTCOME, type LimitReport } from "../limiter.ts";
import type { EmbeddedLimiter } from "../embedded-limiter.ts";
import { AccountTable, DEFAULT_MAX_ACCOUNTS, FIRST_SHARED_HANDLE } from "./account-table.ts";
import { ASKED, askStore, endNotes, peekStore, renewSlots } from "./ask-store.ts";
import { CallScale, type SharedCall } from "./call-scale.ts";
import type { LeaseAccount } from "./lease-account.ts";
import { LeaseKeeper } from "./lease-keeper.ts";
import type { LimitStore } from "./limit-store.ts";
import type { LeaseSizing } from "./lease-size.ts";
import { LostStore } from "./lost-store.ts";
import { toSharedPlan, type SharedLimit, type SharedPlan } from "./shared-plan.ts";
import {
  createSharedReservation,
  PENDING,
  SHARED_OUTCOME,
  type SharedLimiter,
  type SharedOutcome,
  type SharedReservation,
  type SharedStatistics,
} from "./shared-limiter.ts";

export interface SharedLimiterOptions {
  /** Shared limits by their position among all limits; positions that are not here belong to `local`. */
  readonly limits: ReadonlyMap<number, SharedLimit>;
  /** For the other positions. It is asked with the same positions, so it is made of the same list of definitions. */
  readonly local?: EmbeddedLimiter;
  readonly store: LimitStore;
  readonly clock: Clock;
  readonly random: Random;
  /** First part of every key. */
  readonly prefix: string;
  /** The most nodes that share the limits; each thread that has a limiter of its own is one. */
  readonly nodes: number;
  /** How long a call waits for the store before its limits decide without it. */
  readonly budgetMs?: number;
  readonly maxAccounts?: number;
  /** How long after a `reserve` a bucket's units can be refunded; after that they are spent. */
  readonly reservationMs?: number;
  /** How much is leased, and when. */
  readonly sizing?: LeaseSizing;
}

/** Long enough for a store in the same region, short enough that nobody waits for a lost one. */
const DEFAULT_BUDGET_MS = 40;

/**
 * A limiter that keeps limits together with other nodes. Never over: see `lease-account.ts`, `limit-script.lua`.
 * @throws {RangeError} naming each limit that cannot be shared
 */
export function createSharedLimiter(options: SharedLimiterOptions): SharedLimiter {
  return new LeasingLimiter(options);
}

class LeasingLimiter implements SharedLimiter {
  readonly #plans = new Map<number, SharedPlan>();
  readonly #local: EmbeddedLimiter | undefined;
  readonly #store: LimitStore;
  readonly #clock: Clock;
  readonly #accounts: AccountTable;
  readonly #keeper: LeaseKeeper;
  readonly #lost: LostStore;
  readonly #budgetMs: number;
  readonly #reservationMs: number;
  readonly #scale: CallScale;
  /** For `settle` by what was used; refilled. */
  readonly #localActual = new Int32Array(MAX_LIMITS_AT_ONCE);
  readonly #counts = { here: 0, remotely: 0 };
  /** Remote decisions under way: at most as many as calls in flight. */
  readonly #deciding = new Set<Promise<void>>();

  constructor(options: SharedLimiterOptions) {
    for (const [index, limit] of options.limits)
      this.#plans.set(index, toSharedPlan(limit, options.nodes));
    this.#local = options.local;
    this.#store = options.store;
    this.#clock = options.clock;
    this.#budgetMs = options.budgetMs ?? DEFAULT_BUDGET_MS;
    this.#reservationMs = options.reservationMs ?? DEFAULT_RESERVATION_MS;
    this.#lost = new LostStore(this.#plans.values(), options);
    this.#keeper = new LeaseKeeper(options);
    this.#accounts = new AccountTable({
      prefix: options.prefix,
      maxAccounts: options.maxAccounts ?? DEFAULT_MAX_ACCOUNTS,
      forget: (account) => this.#lost.forget(account),
    });
    this.#scale = new CallScale({
      local: this.#local,
      store: this.#store,
      accounts: this.#accounts,
      lost: this.#lost,
    });
  }

  intern(limitIndex: number, key: string | Uint8Array): number {
    const plan = this.#plans.get(limitIndex);
    if (plan !== undefined) return this.#accounts.take(plan, key, this.#clock.monotonicMs());
    assert(this.#local !== undefined, "no such limit");
    return this.#local.intern(limitIndex, key);
  }

  release(handle: number): void {
    if (handle >= FIRST_SHARED_HANDLE) this.#accounts.release(handle, this.#clock.monotonicMs());
    else if (handle !== NO_HANDLE) this.#local?.release(handle);
  }

  acquire(
    handles: Int32Array,
    costs: Int32Array,
    count: number,
    nowMs: number,
    report: LimitReport,
  ): SharedOutcome | typeof PENDING {
    if (this.#local !== undefined && !hasShared(handles, count))
      return this.#local.acquire(handles, costs, count, nowMs, report);
    this.#notice(handles, costs, count);
    return this.#decide({ handles, costs, count }, nowMs, report, undefined, true);
  }

  tryAcquire(handles: Int32Array, costs: Int32Array, count: number, nowMs: number): boolean {
    if (this.#local === undefined || hasShared(handles, count)) return false;
    return this.#local.tryAcquire(handles, costs, count, nowMs);
  }

  reserve(
    handles: Int32Array,
    costs: Int32Array,
    count: number,
    nowMs: number,
    report: LimitReport,
    reservation: SharedReservation,
  ): SharedOutcome | typeof PENDING {
    assert(reservation.sharedCount === 0, "the reservation is still open");
    if (this.#local !== undefined && !hasShared(handles, count)) {
      reservation.localPositions = 2 ** count - 1;
      return this.#local.reserve(handles, costs, count, nowMs, report, reservation);
    }
    this.#notice(handles, costs, count);
    return this.#decide({ handles, costs, count }, nowMs, report, reservation, true);
  }

  async acquireRemote(
    handles: Int32Array,
    costs: Int32Array,
    count: number,
    report: LimitReport,
    reservation: SharedReservation | undefined,
    signal: AbortSignal,
  ): Promise<SharedOutcome> {
    const call = { handles: handles.slice(0, count), costs: costs.slice(0, count), count };
    this.#counts.remotely++;
    const decision = Promise.withResolvers<void>();
    this.#deciding.add(decision.promise);
    // Whoever releases its handles meanwhile does not make the call's accounts somebody else's.
    const accounts = this.#accountsOf(call);
    for (const account of accounts) account.users++;
    try {
      return await this.#decideRemotely(call, report, reservation, signal);
    } finally {
      for (const account of accounts) account.users--;
      this.#deciding.delete(decision.promise);
      decision.resolve();
    }
  }

  async #decideRemotely(
    call: SharedCall,
    report: LimitReport,
    reservation: SharedReservation | undefined,
    signal: AbortSignal,
  ): Promise<SharedOutcome> {
    const deadlineMs = this.#clock.monotonicMs() + this.#budgetMs;
    for (;;) {
      const nowMs = this.#clock.monotonicMs();
      // Whoever gave up wants no admission.
      if (signal.aborted) {
        this.#scale.weigh(call, nowMs, true);
        return this.#scale.describe(call, nowMs, report, SHARED_OUTCOME.unavailable);
      }
      const mayAsk = nowMs < deadlineMs;
      const outcome = this.#decide(call, nowMs, report, reservation, mayAsk);
      if (outcome !== PENDING) return outcome;
      const asked = this.#scale.asked(call);
      if (asked.every(({ account }) => !this.#keeper.isBetterDirect(account))) {
        const fetched = asked.map(({ account, cost }) => this.#keeper.fetch(account, cost));
        await this.#until(Promise.all(fetched), deadlineMs - nowMs, signal);
        continue;
      }
      const booking = reservation ?? createSharedReservation();
      const here = this.#scale.take(call, nowMs, booking);
      if (here !== SHARED_OUTCOME.admitted) return this.#scale.describe(call, nowMs, report, here);
      const direct = await askStore(asked, booking, {
        store: this.#store,
        keeper: this.#keeper,
        clock: this.#clock,
        deadlineMs,
        refundableMs: reservation === undefined ? undefined : this.#reservationMs,
      });
      const thenMs = this.#clock.monotonicMs();
      if (direct === ASKED.met && !signal.aborted) {
        if (reservation === undefined) this.settle(booking, thenMs);
        return SHARED_OUTCOME.admitted;
      }
      this.refund(booking, thenMs);
      if (direct === ASKED.short) {
        this.#scale.weigh(call, thenMs, true);
        return this.#scale.describe(call, thenMs, report, SHARED_OUTCOME.refused);
      }
      // No answer, or one that came too late: each limit says what then.
      const lost = this.#decide(call, thenMs, report, reservation, false);
      assert(lost !== PENDING, "a lost store was asked");
      return lost;
    }
  }

  settle(reservation: SharedReservation, nowMs: number, actual?: Int32Array): void {
    endNotes(reservation, this.#keeper, actual === undefined ? "all" : { used: actual, nowMs });
    this.#local?.settle(reservation, nowMs, actual && this.#ofLocal(actual, reservation));
  }

  /** The entries that belong to the local part, in its order. */
  #ofLocal(actual: Int32Array, { localPositions }: SharedReservation): Int32Array {
    let count = 0;
    for (let i = 0; i < actual.length; i++)
      if ((localPositions >> i) & 1) this.#localActual[count++] = actual[i]!;
    return this.#localActual;
  }

  refund(reservation: SharedReservation, nowMs: number): void {
    endNotes(reservation, this.#keeper, "nothing");
    this.#local?.refund(reservation, nowMs);
  }

  createReservation(): SharedReservation {
    return createSharedReservation();
  }

  finish(reservation: SharedReservation, nowMs: number): void {
    endNotes(reservation, this.#keeper, "finished");
    this.#local?.finish(reservation, nowMs);
  }

  renew(reservation: SharedReservation, nowMs: number): boolean {
    const isHeld = renewSlots(reservation, this.#keeper, nowMs);
    return (this.#local?.renew(reservation, nowMs) ?? true) && isHeld;
  }

  peek(
    handles: Int32Array,
    costs: Int32Array,
    count: number,
    nowMs: number,
    report: LimitReport,
  ): SharedOutcome | typeof PENDING {
    if (this.#local !== undefined && !hasShared(handles, count))
      return this.#local.peek(handles, costs, count, nowMs, report);
    const call = { handles, costs, count };
    const outcome = this.#scale.weigh(call, nowMs, true);
    this.#scale.describe(
      call,
      nowMs,
      report,
      outcome === PENDING ? SHARED_OUTCOME.admitted : outcome,
    );
    return outcome;
  }

  async peekRemote(
    handles: Int32Array,
    costs: Int32Array,
    count: number,
    report: LimitReport,
    signal: AbortSignal,
  ): Promise<SharedOutcome> {
    const call = { handles: handles.slice(0, count), costs: costs.slice(0, count), count };
    const accounts = this.#accountsOf(call);
    for (const account of accounts) account.users++;
    try {
      this.#scale.weigh(call, this.#clock.monotonicMs(), true);
      const asked = this.#scale.asked(call, "shared");
      const options = { store: this.#store, keeper: this.#keeper, budgetMs: this.#budgetMs };
      await this.#until(
        peekStore(asked, { ...options, clock: this.#clock }),
        this.#budgetMs,
        signal,
      );
    } finally {
      for (const account of accounts) account.users--;
    }
    const nowMs = this.#clock.monotonicMs();
    const outcome = this.#scale.weigh(call, nowMs, true);
    const local = this.#scale.hasLocal ? this.#scale.peekLocal(nowMs) : OUTCOME.admitted;
    const both = outcome === PENDING || outcome === SHARED_OUTCOME.admitted ? local : outcome;
    return this.#scale.describe(call, nowMs, report, both);
  }

  handBack(): Promise<void> {
    return this.#keeper.handBack();
  }

  sweep(nowMs: number, maxRecords: number): number {
    this.#lost.sweep(nowMs, maxRecords);
    const swept = this.#accounts.sweep(nowMs, maxRecords);
    return swept + (this.#local?.sweep(nowMs, maxRecords) ?? 0);
  }

  statistics(): SharedStatistics {
    return {
      store: this.#store.statistics(),
      accounts: this.#accounts.size,
      leasedUnits: this.#keeper.leasedUnits,
      leasesGranted: this.#keeper.granted,
      decidedHere: this.#counts.here,
      decidedRemotely: this.#counts.remotely,
      whileLost: { ...this.#lost.decided },
      overrun: this.#keeper.overrun,
      learning: this.#keeper.learning,
      suspends: this.#keeper.suspends,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // What a call got whose caller is gone is handed back too. No decision takes longer than the budget.
    await Promise.all(this.#deciding);
    this.#keeper.stop();
    await this.#keeper.handBack();
    await this.#store[Symbol.asyncDispose]();
  }

  #accountsOf({ handles, count }: SharedCall): LeaseAccount[] {
    const shared = Array.from(handles.subarray(0, count)).filter(
      (handle) => handle >= FIRST_SHARED_HANDLE,
    );
    return shared.map((handle) => this.#accounts.at(handle));
  }

  /** Demand, by which leases are sized. */
  #notice(handles: Int32Array, costs: Int32Array, count: number): void {
    for (let i = 0; i < count; i++) {
      if (handles[i]! < FIRST_SHARED_HANDLE) continue;
      const account = this.#accounts.at(handles[i]!);
      account.demand += costs[i]!;
      if (!account.isWatched) this.#keeper.watch(account);
    }
  }

  /** Decides with what is in hand; spends all or nothing. @param mayAsk false: the store is not asked, whatever its state */
  #decide(
    call: SharedCall,
    nowMs: number,
    report: LimitReport,
    reservation: SharedReservation | undefined,
    mayAsk: boolean,
  ): SharedOutcome | typeof PENDING {
    let outcome = this.#scale.weigh(call, nowMs, mayAsk);
    if (outcome === PENDING) {
      if (!this.#scale.hasLocal) return PENDING;
      // A local limit that refuses spares the round trip.
      const local = this.#scale.peekLocal(nowMs);
      if (local === OUTCOME.admitted) return PENDING;
      outcome = local;
    } else if (outcome === SHARED_OUTCOME.admitted) {
      outcome = this.#scale.take(call, nowMs, reservation);
      this.#counts.here++;
      if (outcome === SHARED_OUTCOME.admitted) return outcome;
    }
    return this.#scale.describe(call, nowMs, report, outcome);
  }

  /** Waits for `promise`, at most `forMs` and only until the signal. */
  #until(promise: Promise<unknown>, forMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (): void => {
        timer.cancel();
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = this.#clock.after(forMs, done);
      signal.addEventListener("abort", done);
      promise.then(done, reject);
    });
  }
}

function hasShared(handles: Int32Array, count: number): boolean {
  for (let i = 0; i < count; i++) if (handles[i]! >= FIRST_SHARED_HANDLE) return true;
  return false;
}
