import { FAULTS, type FaultKind, type FaultName } from "../fault.ts";
import { VERDICT, type Verdict } from "../judge/verdict.ts";
import type { LogLevel } from "./logger.ts";

/**
 * How loud the end of a request is. An error is what we did wrong, a warning what an upstream did or what capacity
 * did not allow. What a client did wrong is information, however often it does it.
 */
export function severityOf(verdict: Verdict, fault: FaultName | undefined): LogLevel {
  if (fault !== undefined) return faultSeverity(fault);
  if (verdict === VERDICT.shed || verdict === VERDICT.unavailable) return "warn";
  return "info";
}

function faultSeverity(fault: FaultName): LogLevel {
  // Stopping is what somebody asked for: no reason to wake anybody.
  if (fault === "draining") return "info";
  return SEVERITY_OF_SIDE[FAULTS[fault].side];
}

const SEVERITY_OF_SIDE: Readonly<Record<FaultKind["side"], LogLevel>> = {
  client: "info",
  upstream: "warn",
  us: "error",
};
