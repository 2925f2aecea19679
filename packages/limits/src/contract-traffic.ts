import * as fc from "fast-check";
import type { LimitDefinition } from "./limit-definition.ts";
import type { Clock } from "@tidegate/clock";
import type { EmbeddedLimiter } from "./embedded-limiter.ts";
import { createLimitReport, createReservation, type Limiter } from "./limiter.ts";

// What the contract suites share: definitions in short, a caller, and traffic that likes boundaries.

/** What the contracts ask of a limiter. */
export type ContractLimiter = Pick<
  EmbeddedLimiter,
  "intern" | "acquire" | "peek" | "reserve" | "settle" | "refund" | "finish" | "renew" | "sweep"
>;

/** Opens an empty limiter. `clock` is what quotas read the calendar from. */
export type OpenLimiter = (
  definitions: readonly LimitDefinition[],
  options?: { readonly reservationMs?: number; readonly clock?: Clock },
) => ContractLimiter;

/** In what implementations may differ without breaking a promise. */
export interface ContractTraits {
  /** Part of the runs and steps that are made; what asks over a network would take minutes for all. */
  readonly effort: number;
  /** The smallest time that is told apart. */
  readonly resolutionMs: number;
  /** Whether units reserved can come back as long as reservations last; false: while a lease does. */
  readonly refundsLast: boolean;
  /**
   * Whether time is the store's: a call with an earlier one than the latest admission's is decided, and counted, at that; and a
   * refusal stands until the time it named.
   */
  readonly hasOwnTime: boolean;
  /** Whether what is in flight can be limited. */
  readonly hasConcurrency: boolean;
}

export const IN_MEMORY: ContractTraits = {
  effort: 1,
  resolutionMs: 0,
  refundsLast: true,
  hasOwnTime: false,
  hasConcurrency: true,
};

export const runsOf = (traits: ContractTraits, numRuns: number) => ({
  numRuns: Math.ceil(numRuns * traits.effort),
});

export const bucket = (count: number, seconds: number, burst: number) =>
  ({ kind: "bucket", name: "b", count, seconds, burst }) as const;
export const exact = (limit: number, seconds: number) =>
  ({ kind: "window", name: "w", limit, seconds, precision: "exact" }) as const;
export const subWindows = (limit: number, seconds: number) =>
  ({ kind: "window", name: "s", limit, seconds, precision: "sub-windows" }) as const;

/** A caller's view with handles and reports made on the spot. */
export function callerOf(
  limiter: Pick<Limiter, "intern" | "acquire" | "peek" | "reserve">,
  limits: readonly number[],
  key = "ada",
) {
  const handles = Int32Array.from(limits, (limit) => limiter.intern(limit, key));
  const report = createLimitReport();
  return {
    report,
    acquire: (nowMs: number, ...costs: number[]) =>
      limiter.acquire(handles, Int32Array.from(costs), handles.length, nowMs, report),
    peek: (nowMs: number, ...costs: number[]) =>
      limiter.peek(handles, Int32Array.from(costs), handles.length, nowMs, report),
    reserve: (nowMs: number, ...costs: number[]) => {
      const reservation = createReservation();
      const outcome = limiter.reserve(
        handles,
        Int32Array.from(costs),
        handles.length,
        nowMs,
        report,
        reservation,
      );
      return { outcome, reservation };
    },
  };
}

/** Waits that make boundaries likely, in whole milliseconds, and costs up to the whole capacity. */
export const traffic = (seconds: number, capacity: number) =>
  fc.array(
    fc.record({
      waitMs: fc.oneof(
        { weight: 4, arbitrary: fc.nat(3) },
        { weight: 3, arbitrary: fc.nat(seconds * 300) },
        { weight: 2, arbitrary: fc.constantFrom(seconds * 1000 - 1, seconds * 1000) },
        { weight: 1, arbitrary: fc.nat(seconds * 3000) },
      ),
      cost: fc.oneof(
        { weight: 3, arbitrary: fc.constant(1) },
        { weight: 1, arbitrary: fc.integer({ min: 1, max: capacity }) },
      ),
    }),
    { maxLength: 60 },
  );
