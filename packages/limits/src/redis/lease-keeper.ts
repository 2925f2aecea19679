import type { Clock, Timer } from "@tidegate/clock";
import { periodAt } from "../calendar-period.ts";
import type { LeaseAccount } from "./lease-account.ts";
import { DEFAULT_SIZING, LEASE_TTL_MS, REFRESH_MS, type LeaseSizing } from "./lease-size.ts";
import { STATUS, StoreLost, type LimitAsk, type LimitStore } from "./limit-store.ts";

/** Half a refresh: leases are renewed before they are used up, and rates are known soon. */
const TICK_MS = REFRESH_MS / 2;
/** What a caller has in hand goes back after so many ticks without a call: two refreshes. */
const IDLE_TICKS = 4;
/** So long before its end a lease that nobody spends goes back. Later it may expire in the store first, as spent. */
const HAND_BACK_MS = LEASE_TTL_MS / 2;
/** A renewal that takes longer than this is no use; until then a stall of the store is not noticed by any message. */
const FETCH_BUDGET_MS = 1.5 * REFRESH_MS;
/** A first lease is this many times what was asked for so far in this tick. */
const STEP_UP = 4;
/** More disagreement between the two clocks within one tick is a suspend or a step of the wall clock. */
const SUSPECT_MS = 100;

/**
 * Keeps the leases of busy callers filled ahead, so that their messages never wait; hands back what idle callers hold; and tells
 * the store what ended. All that is due in one tick leaves in one write.
 */
export class LeaseKeeper {
  readonly #store: LimitStore;
  readonly #clock: Clock;
  readonly #nodes: number;
  readonly #sizing: LeaseSizing;
  /** Accounts with a lease, demand or news. At most as many as there are accounts. */
  readonly #watched = new Set<LeaseAccount>();
  #timer: Timer | undefined;
  #lastTickMs: number;
  #lastWallMs: number;
  /** Of all leases of this node, whatever the key; never used twice. */
  #seq = 0;
  granted = 0;
  learning = 0;
  overrun = 0;
  suspends = 0;

  /** @param options.nodes the most nodes that share the limits */
  constructor(options: {
    readonly store: LimitStore;
    readonly clock: Clock;
    readonly nodes: number;
    readonly sizing?: LeaseSizing;
  }) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#nodes = options.nodes;
    this.#sizing = options.sizing ?? DEFAULT_SIZING;
    this.#lastTickMs = options.clock.monotonicMs();
    this.#lastWallMs = options.clock.wallMs();
    this.#timer = this.#clock.after(TICK_MS, this.#tick);
  }

  nextSeq(): number {
    return ++this.#seq;
  }

  watch(account: LeaseAccount): void {
    if (account.isWatched) return;
    account.isWatched = true;
    this.#watched.add(account);
  }

  isBetterDirect(account: LeaseAccount): boolean {
    const { plan } = account;
    return (
      plan.kind === "quota" ||
      plan.kind === "concurrency" ||
      this.#sizing.isBetterDirect(plan, this.#nodes, account.busyness)
    );
  }

  /** Asks for a lease that covers `need` at least. One request per account; others wait for the same one. Never rejects. */
  fetch(account: LeaseAccount, need: number): Promise<void> {
    account.fetching ??= this.#fetch(account, need).finally(() => (account.fetching = undefined));
    return account.fetching;
  }

  /** Spends what was used already: of the lease in hand, else what the store still has. Does not wait. */
  debit(account: LeaseAccount, units: number, nowMs: number): void {
    if (account.covers(units, nowMs)) account.spend(units);
    else void this.#debit(account, units);
  }

  async #debit(account: LeaseAccount, units: number): Promise<void> {
    const ttlMs = LEASE_TTL_MS;
    let granted = 0;
    try {
      const ask = this.toAsk(account, { seq: 0, need: 0, want: units, ttlMs });
      const answer = await this.#store.ask(account.tag, [ask], FETCH_BUDGET_MS);
      granted = answer.keys[0]!.granted;
    } catch (error) {
      if (!(error instanceof StoreLost)) throw error;
    }
    this.overrun += units - granted;
  }

  /** Everything about one request but who sends it. */
  toAsk(account: LeaseAccount, units: Pick<LimitAsk, "seq" | "need" | "want" | "ttlMs">): LimitAsk {
    const { plan } = account;
    const { ends, undo, renew } = account.takeNews();
    const common = { plan, ...units, ends, ...(renew === undefined ? {} : { renew }) };
    if (plan.definition.kind !== "quota") {
      // A holder lives as long whoever asks, and whatever for.
      const ttlMs = plan.kind === "concurrency" ? plan.span / 1000 : units.ttlMs;
      return { ...common, ttlMs, key: account.key, undo, periodUs: undefined };
    }
    const { period, timeZone } = plan.definition;
    const { startMs, endMs } = periodAt(this.#store.wallMs(), period, timeZone ?? "UTC");
    return {
      ...common,
      key: `${account.key}:${startMs / 60_000}`,
      // What was booked in a period that is over has no place to go back to.
      undo: undo.filter((booking) => booking.atUs === startMs * 1000),
      periodUs: [startMs * 1000, endMs * 1000],
    };
  }

  /** Looks at nothing any more. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Hands back everything and waits for the store to hear it, as long as a renewal would. */
  async handBack(): Promise<void> {
    const told: Promise<void>[] = [];
    for (const account of this.#watched) {
      account.endAll();
      if (account.hasNews) told.push(this.#tell(account));
    }
    await Promise.all(told);
  }

  get leasedUnits(): number {
    let units = 0;
    for (const account of this.#watched) units += account.left;
    return units;
  }

  async #fetch(account: LeaseAccount, need: number): Promise<void> {
    const { plan } = account;
    const seq = this.nextSeq();
    // Whoever has nothing in hand has just become busy: the rate is not known yet, and each step to it is a wait.
    const units = account.busyness * (account.holdsLease ? 1 : STEP_UP);
    const want = Math.max(need, this.#sizing.leaseSize(plan, account.nodes, units));
    const sentAtMs = this.#clock.monotonicMs();
    try {
      const ask = this.toAsk(account, { seq, need, want, ttlMs: LEASE_TTL_MS });
      const answer = await this.#store.ask(account.tag, [ask], FETCH_BUDGET_MS);
      const [heard] = answer.keys;
      account.hear(heard!, need, sentAtMs);
      // What is missing is in our own hand: a lease too small for this cost.
      if (
        heard!.status === STATUS.short &&
        account.left > 0 &&
        account.left + heard!.free >= need
      ) {
        account.endAll();
        return await this.#fetch(account, need);
      }
      if (heard!.granted > 0) {
        this.granted++;
        account.accept(seq, heard!.granted, sentAtMs, LEASE_TTL_MS);
      }
      if (heard!.status === STATUS.unknown) this.learning++;
      else if (heard!.granted < want) account.denyAtLeast(sentAtMs + this.#sizing.leastGapMs);
      this.watch(account);
    } catch (error) {
      if (!(error instanceof StoreLost)) throw error;
      // Nothing is known of what was granted, and none of it will be used: named as unused it is free at once where this is
      // heard in time, and expires by itself where not.
      account.tellEnd(seq, 0);
      this.watch(account);
    }
  }

  async #tell(account: LeaseAccount): Promise<void> {
    try {
      const ask = this.toAsk(account, { seq: 0, need: 0, want: 0, ttlMs: LEASE_TTL_MS });
      const sentAtMs = this.#clock.monotonicMs();
      const { keys } = await this.#store.ask(account.tag, [ask], FETCH_BUDGET_MS);
      account.hearRenewals(ask, keys[0]!, sentAtMs);
    } catch (error) {
      // What was not heard counts as spent when it expires.
      if (!(error instanceof StoreLost)) throw error;
    }
  }

  #tick = (): void => {
    this.#timer = this.#clock.after(TICK_MS, this.#tick);
    const nowMs = this.#clock.monotonicMs();
    const elapsedMs = nowMs - this.#lastTickMs;
    this.#notice(nowMs, elapsedMs);
    const isUp = this.#store.isUp;
    for (const account of this.#watched) this.#keep(account, { nowMs, elapsedMs, isUp });
  };

  #keep(account: LeaseAccount, at: { nowMs: number; elapsedMs: number; isUp: boolean }): void {
    const isIdle = account.demand === 0;
    account.measure(at.elapsedMs);
    const isOpen = at.nowMs >= account.denyUntilMs && at.nowMs >= account.unknownUntilMs;
    if (
      account.holdsLease &&
      (account.idleTicks >= IDLE_TICKS || (isIdle && account.perRefresh < 1))
    )
      account.endAll();
    account.endOld(at.nowMs + HAND_BACK_MS);
    if (!at.isUp) return;
    if (!isIdle && isOpen && this.#needsLease(account, at.nowMs)) {
      void this.fetch(account, 1);
    } else if (account.hasNews && account.fetching === undefined) {
      void this.#tell(account);
    } else if (isIdle && account.perRefresh === 0 && !account.isBusy(at.nowMs)) {
      account.isWatched = false;
      this.#watched.delete(account);
    }
  }

  #needsLease(account: LeaseAccount, nowMs: number): boolean {
    if (account.holdsLease) return account.isDueAt(nowMs, LEASE_TTL_MS);
    return account.fetching === undefined && !this.isBetterDirect(account);
  }

  /** The monotonic clock stands still during a suspend, so leases look younger than they are. */
  #notice(nowMs: number, elapsedMs: number): void {
    const wallMs = this.#clock.wallMs();
    const isSuspect = Math.abs(wallMs - this.#lastWallMs - elapsedMs) > SUSPECT_MS;
    this.#lastTickMs = nowMs;
    this.#lastWallMs = wallMs;
    if (!isSuspect) return;
    this.suspends++;
    for (const account of this.#watched) account.forgetLeases();
  }
}
