import type { SharedPlan } from "./shared-plan.ts";

/**
 * The seam between the shared limiter and what keeps the counts for all nodes. One step on one or more keys of one tag.
 * Duties: executed at most once per call (never resent); all or nothing over the asks; time is the store's own.
 */
export interface LimitStore extends AsyncDisposable {
  /** Whether asking is worth a try now. Synchronous: the message path reads it. */
  readonly isUp: boolean;
  /**
   * @param budgetMs after this the answer is not waited for; what was granted then expires unused
   * @throws {StoreLost} when there is no answer: nothing is known of what was done
   */
  ask(tag: number, asks: readonly LimitAsk[], budgetMs: number): Promise<LimitAnswer>;
  /** The store's wall clock, in milliseconds, as last seen; for calendar periods. */
  wallMs(): number;
  statistics(): StoreStatistics;
}

/** What happened to the connection, for metric, log and readiness. */
export type StoreState = "connecting" | "up" | "lost";

export interface StoreStatistics {
  readonly state: StoreState;
  /** Commands sent. */
  readonly asked: number;
  /** Answers that did not come within their budget. */
  readonly timedOut: number;
  /** Answers that were errors, and commands that had no connection. */
  readonly failed: number;
  /** Times the script had to be loaded again. */
  readonly reloaded: number;
  /** Times the state became `lost`. */
  readonly losses: number;
}

export interface LimitAsk {
  readonly key: string;
  readonly plan: SharedPlan;
  /** Of the lease asked for; never used twice by a node. 0: units are spent at once. */
  readonly seq: number;
  /** Below this nothing is granted, to none of the asks. */
  readonly need: number;
  readonly want: number;
  readonly ends: readonly LeaseEnd[];
  readonly undo: readonly Booking[];
  /** concurrency: holders of this node that go on. */
  readonly renew?: readonly HolderRenewal[];
  /** quota: the calendar period in microseconds since the epoch, [begin, end). */
  readonly periodUs: readonly [number, number] | undefined;
  /** How long a lease lives in the store. */
  readonly ttlMs: number;
}

/** A lease that its node does not use any more. It names the lease: an unnamed end would close whichever came last. */
export interface LeaseEnd {
  readonly seq: number;
  readonly spent: number;
}

/** Units spent at once that are to come back: where they were booked. */
export interface Booking {
  readonly atUs: number;
  readonly units: number;
  readonly epoch: string;
}

/** A holder of a concurrency limit, as its node knows it. */
export interface SlotHold {
  readonly units: number;
  /** Until then the store has it for certain; moved by each renewal that was heard. */
  deadlineMs: number;
}

export interface HolderRenewal {
  readonly seq: number;
  readonly slot: SlotHold;
}

export const STATUS = { met: 0, short: 1, unknown: 2 } as const;

export interface LimitAnswer {
  readonly epoch: string;
  /** Whether every need was met; otherwise nothing was granted. */
  readonly isMet: boolean;
  readonly keys: readonly KeyAnswer[];
}

export interface KeyAnswer {
  /** `unknown`: the store may have lost what was granted before, so it grants nothing for `waitMs`. */
  readonly status: (typeof STATUS)[keyof typeof STATUS];
  readonly granted: number;
  readonly free: number;
  readonly waitMs: number;
  readonly resetMs: number;
  readonly bookedUs: number;
  /** Leases that other nodes have out. */
  readonly others: number;
  /** Holders that the store has given up: for lost, and there was no room to take them in again. */
  readonly unrenewed: readonly number[];
}

/** The store gave no answer. A value of its own, so that whoever asks falls back and everything else is a bug. */
export class StoreLost extends Error {
  override readonly name = "StoreLost";
}
