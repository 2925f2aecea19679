import type { PenaltyKind } from "./penalty-key.ts";

// The arithmetic of penalties, and nothing else: no clock, no memory, no names. Everything that holds penalties
// (the ledger, the script of the shared store) decides by these rules.

/** What is known of one key. Times are milliseconds of the store's own steady time, unless said otherwise. */
export interface Penalty {
  readonly kind: PenaltyKind;
  /** At `countedAtMs`; one is forgotten with every whole hour since. At least 1. */
  readonly strikes: number;
  readonly countedAtMs: number;
  /** When the box opens; `SUSPENDED` when only an operator opens it. */
  readonly untilMs: number;
  /** P, the start of the latest penalty, wall time: a person must have signed in later than this. */
  readonly startedMs: number;
  /** What was overrun, for people: the name of a limit. */
  readonly reason: string;
}

export const FIRST_PENALTY_MS = 30_000;
export const LONGEST_PENALTY_MS = 3_600_000;
export const STRIKE_DECAY_MS = 3_600_000;
/** From this strike on a person is boxed whatever client they use. */
export const WIDENED_FROM = 3;
/** From this strike on a key or client, which cannot sign in again, waits for an operator. */
export const SUSPENDED_FROM = 5;
export const SUSPENDED = Number.POSITIVE_INFINITY;
/** More strikes than this are counted as so many: the penalty has been at its longest since the eighth. */
export const MOST_STRIKES = 100;
/**
 * How long a person's duty to sign in again is remembered: as long as a session or refresh token from before the
 * penalty may still be presented. Longer ones are forgiven.
 */
export const SIGN_IN_DUTY_MS = 30 * 86_400_000;

/** How long the box stays closed. @param strikes at least 1 */
export function penaltyMs(strikes: number): number {
  return Math.min(FIRST_PENALTY_MS * 2 ** (strikes - 1), LONGEST_PENALTY_MS);
}

/** What decay has left of the strikes. Time that goes back forgets nothing and adds nothing. */
export function strikesLeft(penalty: Penalty | undefined, nowMs: number): number {
  if (penalty === undefined) return 0;
  return Math.max(0, penalty.strikes - hoursPassed(penalty, nowMs));
}

/** Whether the box is closed. */
export function isBoxed(penalty: Penalty | undefined, nowMs: number): boolean {
  return penalty !== undefined && nowMs < penalty.untilMs;
}

/** Whether nothing would change if it were not there. */
export function isForgotten(penalty: Penalty, nowMs: number, wallMs: number): boolean {
  if (isBoxed(penalty, nowMs) || strikesLeft(penalty, nowMs) > 0) return false;
  return penalty.kind !== "person" || wallMs - penalty.startedMs >= SIGN_IN_DUTY_MS;
}

/** What one more strike comes to. */
export type Strike =
  /** Nothing changes: a penalty is never made longer than it was said to be. */
  | { readonly outcome: "already-boxed" }
  | {
      readonly outcome: "boxed";
      /** Which key is boxed. With `wide` the narrow one is forgotten: all it held stands in the wide one. */
      readonly place: "narrow" | "wide";
      readonly penalty: Penalty;
    };

/**
 * @param known what the caller's two keys hold
 * @param options.isNarrowFull there is no room for another narrow key, so the wide one is taken if there is one
 */
export function strike(
  known: { readonly narrow: Penalty | undefined; readonly wide: Penalty | undefined },
  options: {
    readonly kind: PenaltyKind;
    readonly reason: string;
    readonly nowMs: number;
    readonly wallMs: number;
    readonly isNarrowFull?: boolean;
  },
): Strike {
  const { kind, reason, nowMs, wallMs, isNarrowFull = false } = options;
  const { narrow, wide } = known;
  if (isBoxed(narrow, nowMs) || isBoxed(wide, nowMs)) return { outcome: "already-boxed" };
  const before = strikesLeft(narrow, nowMs) >= strikesLeft(wide, nowMs) ? narrow : wide;
  const left = strikesLeft(before, nowMs);
  const strikes = Math.min(left + 1, MOST_STRIKES);
  // The hour that runs goes on: a strike that comes late in it does not delay the decay of the earlier ones.
  const countedAtMs =
    before === undefined || left === 0
      ? nowMs
      : before.countedAtMs + hoursPassed(before, nowMs) * STRIKE_DECAY_MS;
  const isSuspended = (kind === "key" || kind === "client") && strikes >= SUSPENDED_FROM;
  const untilMs = isSuspended ? SUSPENDED : nowMs + penaltyMs(strikes);
  const isWidened = (kind === "person" && strikes >= WIDENED_FROM) || isNarrowFull;
  return {
    outcome: "boxed",
    place: isWidened ? "wide" : "narrow",
    penalty: { kind, strikes, countedAtMs, untilMs, startedMs: wallMs, reason },
  };
}

function hoursPassed({ countedAtMs }: Penalty, nowMs: number): number {
  return Math.max(0, Math.floor((nowMs - countedAtMs) / STRIKE_DECAY_MS));
}
