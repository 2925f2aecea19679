import type { Booking, HolderRenewal, KeyAnswer, LeaseEnd, LimitAsk } from "./limit-store.ts";
import { leaseDeadlineMs, REFRESH_MS } from "./lease-size.ts";
import type { SharedPlan } from "./shared-plan.ts";

/** Units that this node may spend by itself until `deadlineMs`. */
interface Lease {
  readonly seq: number;
  readonly granted: number;
  left: number;
  readonly deadlineMs: number;
  readonly sentAtMs: number;
}

/** Ended leases not yet told to the store. More are forgotten: the store takes them as spent when they expire. */
const MOST_ENDS = 64;

/**
 * One caller under one shared limit, as this node knows it: leases in hand, what the store last said, how busy it is.
 * All decisions are synchronous. A lease is spent while it is current or next; once ended it is never touched again, and
 * only then is its end sent.
 */
export class LeaseAccount {
  readonly plan: SharedPlan;
  /** Name of the caller and the limit in the store; and which script calls it may share. */
  readonly key: string;
  readonly tag: number;
  /** The caller, for the fallback limiter. */
  readonly caller: string;
  /** Handles given out and calls under way. */
  users = 0;
  lastUsedMs = 0;
  /** Whether the keeper looks at this account; the keeper's own. */
  isWatched = false;
  /** In the local limiter used while the store is lost; -1 until then. */
  fallbackHandle = -1;

  // What the store said last.
  denyUntilMs = 0;
  /** Costs from here on are denied until then. */
  denyCost = 0;
  /** Until then the store grants nothing, because it may have forgotten what it granted. */
  unknownUntilMs = 0;
  /** Units left in the store, and when all would be back. */
  free: number;
  resetAtMs = 0;
  /** Nodes that hold a lease, this one included. */
  nodes = 1;

  /** Units asked for since the last look, admitted or not; and per refresh, smoothed. */
  demand = 0;
  perRefresh = 0;
  /** Looks in a row that found no demand. */
  idleTicks = 0;
  /** The one lease request under way. Resolves when the store answered or did not; never rejects. */
  fetching: Promise<void> | undefined;

  #current: Lease | undefined;
  #next: Lease | undefined;
  #leftBefore: number | undefined;
  #ends: LeaseEnd[] = [];
  #undo: Booking[] = [];
  /** Holders to be renewed, by seq. At most as many as the limit has slots. */
  #renewals = new Map<number, HolderRenewal>();

  constructor(
    plan: SharedPlan,
    options: { readonly key: string; readonly tag: number; readonly caller: string },
  ) {
    this.plan = plan;
    this.key = options.key;
    this.tag = options.tag;
    this.caller = options.caller;
    this.free = plan.sharedCapacity;
  }

  /** Whether a lease in hand covers `cost`. Ends what is used up or too old on the way. */
  covers(cost: number, nowMs: number): boolean {
    const current = this.#current;
    if (current !== undefined && nowMs < current.deadlineMs && current.left >= cost) return true;
    return current !== undefined && this.#advance(cost, nowMs);
  }

  /** Spends what `covers` has just affirmed. */
  spend(cost: number): void {
    this.#current!.left -= cost;
  }

  /** The lease that `spend` takes from; for `giveBack`. 0 when there is none. */
  get seq(): number {
    return this.#current?.seq ?? 0;
  }

  /** Returns units that were not used after all. Does nothing when their lease has ended: they count as spent then. */
  giveBack(seq: number, units: number): void {
    if (this.#current?.seq === seq) this.#current.left += units;
    else if (this.#next?.seq === seq) this.#next.left += units;
  }

  get left(): number {
    return (this.#current?.left ?? 0) + (this.#next?.left ?? 0);
  }

  get holdsLease(): boolean {
    return this.#current !== undefined;
  }

  /** Whether anything would be lost, or asked for again at once, if this account were forgotten. */
  isBusy(nowMs: number): boolean {
    const isKnown = nowMs < this.denyUntilMs || nowMs < this.unknownUntilMs;
    return isKnown || this.holdsLease || this.hasNews || this.fetching !== undefined;
  }

  get hasNews(): boolean {
    return this.#ends.length > 0 || this.#undo.length > 0 || this.#renewals.size > 0;
  }

  /** Takes in a granted lease, to be spent after the one in hand. */
  accept(seq: number, granted: number, sentAtMs: number, ttlMs: number): void {
    const lease = {
      seq,
      granted,
      left: granted,
      sentAtMs,
      deadlineMs: leaseDeadlineMs(sentAtMs, ttlMs),
    };
    if (this.#current === undefined) this.#current = lease;
    else {
      if (this.#next !== undefined) this.#end(this.#next);
      this.#next = lease;
    }
  }

  /** Remembers what the store says of this key. `sentAtMs`: its waits began later than that. */
  hear(answer: KeyAnswer, need: number, sentAtMs: number): void {
    this.free = answer.free;
    this.resetAtMs = sentAtMs + answer.resetMs;
    this.nodes = answer.others + 1;
    if (answer.status === 0) return;
    if (answer.status === 2) this.unknownUntilMs = sentAtMs + answer.waitMs;
    else {
      this.denyUntilMs = sentAtMs + answer.waitMs;
      this.denyCost = need;
    }
  }

  /** Once the lease in hand is spent, nothing is asked for before then. */
  denyAtLeast(untilMs: number): void {
    if (untilMs <= this.denyUntilMs) return;
    this.denyUntilMs = untilMs;
    this.denyCost = 1;
  }

  isDenied(cost: number, nowMs: number): boolean {
    return nowMs < this.denyUntilMs && cost >= this.denyCost;
  }

  /** Whether the lease in hand will not last until the next look but one, or a third of its time is over. */
  isDueAt(nowMs: number, ttlMs: number): boolean {
    if (this.fetching !== undefined || this.#next !== undefined) return false;
    const current = this.#current;
    if (current === undefined) return false;
    return nowMs - current.sentAtMs >= ttlMs / 3 || current.left < 1.5 * this.perRefresh;
  }

  /** Counts the demand since the last look. @param elapsedMs since then */
  measure(elapsedMs: number): void {
    const perRefresh = (this.demand * REFRESH_MS) / Math.max(1, elapsedMs);
    this.perRefresh = Math.max(perRefresh, (this.perRefresh + perRefresh) / 2);
    if (this.perRefresh < 0.01) this.perRefresh = 0;
    this.idleTicks = this.demand === 0 ? this.idleTicks + 1 : 0;
    this.demand = 0;
  }

  /** How much one refresh needs, a burst that has just begun included. */
  get busyness(): number {
    return Math.max(this.perRefresh, this.demand);
  }

  /** Stops using what is in hand, so that the store can have it back. */
  endAll(): void {
    if (this.#next !== undefined) this.#end(this.#next);
    if (this.#current !== undefined) this.#end(this.#current);
    this.#current = undefined;
    this.#next = undefined;
  }

  /**
   * Ends leases in hand whose time is over by `untilMs`, while the store can still hear of it: one that expires there counts
   * as spent to the last unit. Only if another takes over, or nothing was spent since the last call of this.
   */
  endOld(untilMs: number): void {
    const isSpending = this.#current?.left !== this.#leftBefore || this.fetching !== undefined;
    this.#leftBefore = this.#current?.left;
    while (this.#current !== undefined && this.#current.deadlineMs <= untilMs) {
      if (isSpending && this.#next === undefined) return;
      this.#end(this.#current);
      this.#current = this.#next;
      this.#next = undefined;
    }
  }

  /** Forgets what is in hand without a word: after a suspend nobody knows how old it is. The store lets it expire as spent. */
  forgetLeases(): void {
    this.#current = undefined;
    this.#next = undefined;
  }

  /** A reservation of its own that ended. */
  tellEnd(seq: number, spent: number): void {
    const most = Math.max(MOST_ENDS, this.plan.kind === "concurrency" ? this.plan.capacity : 0);
    if (this.#ends.length < most) this.#ends.push({ seq, spent });
    this.#renewals.delete(seq);
  }

  /** A booking to be undone. More than the bound stay spent. */
  tellUndo(booking: Booking): void {
    if (this.#undo.length < MOST_ENDS) this.#undo.push(booking);
  }

  /** A holder that goes on. */
  tellRenewal(renewal: HolderRenewal): void {
    this.#renewals.set(renewal.seq, renewal);
  }

  /** Takes in what the store said of the holders that `ask` named. */
  hearRenewals(ask: LimitAsk, answer: KeyAnswer, sentAtMs: number): void {
    if (ask.renew === undefined) return;
    for (const { seq, slot } of ask.renew)
      slot.deadlineMs = answer.unrenewed.includes(seq)
        ? Number.NEGATIVE_INFINITY
        : leaseDeadlineMs(sentAtMs, ask.ttlMs);
  }

  /** What the next request says besides. It is said once: if it is lost, the leases expire as spent. */
  takeNews(): Pick<LimitAsk, "ends" | "undo" | "renew"> {
    if (!this.hasNews) return NO_NEWS;
    const news = {
      ends: this.#ends,
      undo: this.#undo,
      ...(this.#renewals.size > 0 ? { renew: Array.from(this.#renewals.values()) } : {}),
    };
    this.#ends = [];
    this.#undo = [];
    this.#renewals.clear();
    return news;
  }

  #advance(cost: number, nowMs: number): boolean {
    const next = this.#next;
    const current = this.#current!;
    const isOver = nowMs >= current.deadlineMs;
    // What is left of a live lease stays in hand until another one can take over.
    if (next === undefined) {
      if (isOver || current.left === 0) {
        this.#end(current);
        this.#current = undefined;
      }
      return false;
    }
    if (!isOver && (nowMs >= next.deadlineMs || next.left < cost)) return false;
    this.#end(current);
    this.#current = next;
    this.#next = undefined;
    return nowMs < next.deadlineMs && next.left >= cost;
  }

  #end(lease: Lease): void {
    this.tellEnd(lease.seq, lease.granted - lease.left);
    // What this node itself gives back, the store will not refuse.
    if (lease.left > 0) this.denyUntilMs = 0;
  }
}

const NO_NEWS = { ends: [], undo: [] };
