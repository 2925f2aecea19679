import * as fc from "fast-check";
import type { LimitDefinition } from "./limit-definition.ts";
import { createLimitReport, createReservation, type Limiter } from "./limiter.ts";

// What the contract suites share: definitions in short, a caller, and traffic that likes boundaries.

/** Opens an empty limiter. */
export type OpenLimiter = (
  definitions: readonly LimitDefinition[],
  options?: { readonly reservationMs?: number },
) => Limiter;

export const bucket = (count: number, seconds: number, burst: number) =>
  ({ kind: "bucket", name: "b", count, seconds, burst }) as const;
export const exact = (limit: number, seconds: number) =>
  ({ kind: "window", name: "w", limit, seconds, precision: "exact" }) as const;
export const subWindows = (limit: number, seconds: number) =>
  ({ kind: "window", name: "s", limit, seconds, precision: "sub-windows" }) as const;

/** A caller's view with handles and reports made on the spot. */
export function callerOf(limiter: Limiter, limits: readonly number[], key = "ada") {
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
