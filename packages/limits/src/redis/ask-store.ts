import type { Clock } from "@tidegate/clock";
import type { LeaseAccount } from "./lease-account.ts";
import type { LeaseKeeper } from "./lease-keeper.ts";
import { LEASE_TTL_MS, leaseDeadlineMs } from "./lease-size.ts";
import { STATUS, StoreLost, type LimitAsk, type LimitStore } from "./limit-store.ts";
import type { SharedNote, SharedReservation } from "./shared-limiter.ts";

/** One caller of a call, and what it costs there. */
export interface AskedAccount {
  readonly account: LeaseAccount;
  readonly cost: number;
  /** Positions of the call, bit i for position i. */
  readonly positions: number;
}

/** `lost`: no answer within the budget, or one that says the store may have forgotten. */
export const ASKED = { met: 0, short: 1, lost: 2 } as const;
export type Asked = (typeof ASKED)[keyof typeof ASKED];

/**
 * Spends units at the store itself, one round trip for all that share a tag. Sets over several tags are asked one after
 * the other, each in a form that can be cancelled; what is reserved meanwhile is merely unavailable to others.
 * Whatever was taken is noted in `booking`; unless the answer is `met` the caller refunds it.
 */
export async function askStore(
  asked: readonly AskedAccount[],
  booking: SharedReservation,
  options: {
    readonly store: LimitStore;
    readonly keeper: LeaseKeeper;
    readonly clock: Clock;
    readonly deadlineMs: number;
    /** How long the units must be able to come back; undefined: they need not. A reserved unit of a bucket is a lease of its own that lives so long. */
    readonly refundableMs: number | undefined;
  },
): Promise<Asked> {
  const { store, keeper, clock, deadlineMs } = options;
  const byTag = Map.groupBy(asked, ({ account }) => account.tag);
  const { refundableMs } = options;
  const isCancelable = refundableMs !== undefined || byTag.size > 1;
  for (const [tag, group] of byTag) {
    const sentAtMs = clock.monotonicMs();
    if (sentAtMs >= deadlineMs) return ASKED.lost;
    const asks = group.map(({ account, cost }): LimitAsk => {
      // A bucket's units may come back only if refill was held off meanwhile, so they are leased. A slot is held.
      const { kind } = account.plan;
      const isOwn = kind === "concurrency" || (isCancelable && kind === "bucket");
      const seq = isOwn ? keeper.nextSeq() : 0;
      const ttlMs = (isOwn ? refundableMs : undefined) ?? LEASE_TTL_MS;
      return keeper.toAsk(account, { seq, need: cost, want: cost, ttlMs });
    });
    let answer;
    try {
      answer = await store.ask(tag, asks, deadlineMs - sentAtMs);
    } catch (error) {
      if (!(error instanceof StoreLost)) throw error;
      // What may have been granted for this call is not used.
      for (const [at, { seq }] of asks.entries()) {
        if (seq === 0) continue;
        group[at]!.account.tellEnd(seq, 0);
        keeper.watch(group[at]!.account);
      }
      return ASKED.lost;
    }
    let isUnknown = false;
    for (const [at, heard] of answer.keys.entries()) {
      const { account, cost, positions } = group[at]!;
      const ask = asks[at]!;
      account.hear(heard, cost, sentAtMs);
      account.hearRenewals(ask, heard, sentAtMs);
      if (heard.status === STATUS.unknown) isUnknown = true;
      if (!answer.isMet) continue;
      const note = booking.notes[booking.sharedCount++]!;
      note.account = account;
      note.units = cost;
      note.positions = positions;
      note.seq = ask.seq;
      note.from = ask.seq > 0 ? "own" : heard.bookedUs > 0 ? "booked" : "gone";
      if (account.plan.kind === "concurrency") {
        note.from = "slot";
        note.slot = { units: cost, deadlineMs: leaseDeadlineMs(sentAtMs, ask.ttlMs) };
      }
      note.bookedUs = ask.periodUs?.[0] ?? heard.bookedUs;
      note.epoch = answer.epoch;
    }
    // The decision was the store's, at its time; acted on this late it would be another one.
    if (clock.monotonicMs() >= deadlineMs) return ASKED.lost;
    if (isUnknown) keeper.learning++;
    if (!answer.isMet) return isUnknown ? ASKED.lost : ASKED.short;
  }
  return ASKED.met;
}

/** Learns how accounts stand at the store; spends nothing. Without an answer they know what they knew. */
export async function peekStore(
  asked: readonly AskedAccount[],
  options: {
    readonly store: LimitStore;
    readonly keeper: LeaseKeeper;
    readonly clock: Clock;
    readonly budgetMs: number;
  },
): Promise<void> {
  const { store, keeper, clock, budgetMs } = options;
  const byTag = Map.groupBy(asked, ({ account }) => account.tag);
  const told = Array.from(byTag, async ([tag, group]) => {
    const sentAtMs = clock.monotonicMs();
    const asks = group.map(({ account, cost }) =>
      keeper.toAsk(account, { seq: 0, need: cost, want: 0, ttlMs: LEASE_TTL_MS }),
    );
    try {
      const { keys } = await store.ask(tag, asks, budgetMs);
      for (const [at, heard] of keys.entries()) {
        const { account, cost } = group[at]!;
        // What it said before is older than this.
        account.denyUntilMs = 0;
        account.hear(heard, cost, sentAtMs);
        account.hearRenewals(asks[at]!, heard, sentAtMs);
      }
    } catch (error) {
      if (!(error instanceof StoreLost)) throw error;
    }
  });
  await Promise.all(told);
}

/**
 * Ends the shared part of a reservation: spent for good, or given back where it was taken from.
 * @param spent all of it, nothing, or what each position of the call used
 */
export function endNotes(
  reservation: SharedReservation,
  keeper: LeaseKeeper,
  spent: "all" | "nothing" | "finished" | { readonly used: Int32Array; readonly nowMs: number },
): void {
  let held = 0;
  for (let at = 0; at < reservation.sharedCount; at++) {
    const note = reservation.notes[at]!;
    const account = note.account as LeaseAccount;
    if (note.from === "slot") {
      if (spent !== "nothing" && spent !== "finished") {
        // Held on, whatever becomes of the rest. The notes change places, so none is lost.
        reservation.notes[at] = reservation.notes[held]!;
        reservation.notes[held++] = note;
        continue;
      }
      account.tellEnd(note.seq, 0);
      account.denyUntilMs = 0;
      note.account = undefined;
      note.slot = undefined;
      keeper.watch(account);
      continue;
    }
    note.account = undefined;
    const used =
      spent === "nothing" ? 0 : typeof spent === "string" ? note.units : usedOf(note, spent.used);
    const left = note.units - used;
    if (note.from === "own") account.tellEnd(note.seq, Math.min(used, note.units));
    if (left > 0) {
      if (note.from === "lease") account.giveBack(note.seq, left);
      if (note.from === "booked")
        account.tellUndo({ atUs: note.bookedUs, units: left, epoch: note.epoch });
      // What this node itself gave back, the store will not refuse.
      if (note.from !== "gone") account.denyUntilMs = 0;
    }
    if (left < 0 && typeof spent === "object") keeper.debit(account, -left, spent.nowMs);
    if (account.hasNews) keeper.watch(account);
  }
  reservation.sharedCount = held;
}

/** Says that the holders of a reservation go on. @returns false when one of them was given up */
export function renewSlots(
  reservation: SharedReservation,
  keeper: LeaseKeeper,
  nowMs: number,
): boolean {
  let isHeld = true;
  for (let at = 0; at < reservation.sharedCount; at++) {
    const { account, from, seq, slot } = reservation.notes[at]!;
    if (from !== "slot" || slot === undefined) continue;
    if (nowMs >= slot.deadlineMs) {
      isHeld = false;
      continue;
    }
    (account as LeaseAccount).tellRenewal({ seq, slot });
    keeper.watch(account as LeaseAccount);
  }
  return isHeld;
}

function usedOf(note: SharedNote, used: Int32Array): number {
  let sum = 0;
  for (let i = 0; i < used.length; i++) if ((note.positions >> i) & 1) sum += used[i]!;
  return sum;
}
