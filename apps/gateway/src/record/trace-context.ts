import type { Identifiers } from "./identifiers.ts";

/** The trace a request belongs to, and what the upstream is told about it. */
export interface TraceContext {
  /** 32 lower-case hexadecimal digits. */
  readonly traceId: string;
  /** The field for the upstream: the same trace, with this hop as the parent. */
  readonly traceparent: string;
  /** Whether the client's `tracestate` goes on. It means nothing without the `traceparent` it came with (§3.3). */
  readonly keepsTracestate: boolean;
}

// W3C Trace Context §3.2.2, version 00: exactly these four parts, lower-case.
const VERSION_00 = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;
// §4.3: a later version is read by the parts it shares with 00, and may go on after another dash.
const LATER_VERSION =
  /^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-[\x20-\x7e]*)?$/;
const ZERO_TRACE = "0".repeat(32);
const ZERO_PARENT = "0".repeat(16);
// The fields of honest clients have 55 characters; later versions may be longer, within reason.
const MAX_CHARACTERS = 256;
const SAMPLED = 1;

/**
 * Goes on with the client's trace, or begins one where the field is absent or in any way invalid (W3C Trace
 * Context §3.2, §4.3). Always written in version 00, with a parent id of our own.
 *
 * @param traceparent the field's value; undefined when absent. Pass undefined when it came more than once.
 */
export function continueTrace(traceparent: string | undefined, ids: Identifiers): TraceContext {
  const parts = traceparent === undefined ? null : parse(traceparent);
  const traceId = parts?.[1];
  const parentId = parts?.[2];
  const flags = parts?.[3];
  if (
    traceId === undefined ||
    flags === undefined ||
    traceId === ZERO_TRACE ||
    parentId === ZERO_PARENT
  ) {
    const begun = ids.long();
    // Not sampled: the flag says whether the sender recorded the trace, and we do not.
    return { traceId: begun, traceparent: `00-${begun}-${ids.short()}-00`, keepsTracestate: false };
  }
  // §3.2.2.5: of the flags only `sampled` has a meaning; what we do not understand is sent as zero.
  const isSampled = (Number.parseInt(flags, 16) & SAMPLED) === SAMPLED;
  return {
    traceId,
    traceparent: `00-${traceId}-${ids.short()}-${isSampled ? "01" : "00"}`,
    keepsTracestate: true,
  };
}

function parse(traceparent: string): RegExpExecArray | null {
  if (traceparent.length > MAX_CHARACTERS) return null;
  if (traceparent.startsWith("00")) return VERSION_00.exec(traceparent);
  return LATER_VERSION.exec(traceparent);
}
