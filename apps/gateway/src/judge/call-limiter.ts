import type { EmbeddedLimiter, LimitReport, Reservation } from "@tidegate/limits";

/**
 * What judging asks of a limit engine. The embedded one decides at once; one that shares limits with other gateways
 * may say `PENDING` (-1), and is then asked by `acquireRemote`. Outcomes beside the engine's own: 3, the shared store is lost.
 */
export interface CallLimiter extends Pick<
  EmbeddedLimiter,
  "intern" | "release" | "refund" | "finish" | "renew" | "sweep"
> {
  acquire(
    handles: Int32Array,
    costs: Int32Array,
    count: number,
    nowMs: number,
    report: LimitReport,
  ): number;
  reserve(
    handles: Int32Array,
    costs: Int32Array,
    count: number,
    nowMs: number,
    report: LimitReport,
    reservation: Reservation,
  ): number;
  peek(
    handles: Int32Array,
    costs: Int32Array,
    count: number,
    nowMs: number,
    report: LimitReport,
  ): number;
  /** As `EmbeddedLimiter.tryAcquire`. */
  tryAcquire(handles: Int32Array, costs: Int32Array, count: number, nowMs: number): boolean;
  settle(reservation: Reservation, nowMs: number): void;
  /** What `reserve` is given; without it the package's own. */
  createReservation?(): Reservation;
  /** As `SharedLimiter.acquireRemote`. */
  acquireRemote?(
    handles: Int32Array,
    costs: Int32Array,
    count: number,
    report: LimitReport,
    reservation: Reservation | undefined,
    signal: AbortSignal,
  ): Promise<number>;
}
