import { CALL_KIND } from "../judge/call.ts";
import { REASON, REASON_BY_CODE } from "../judge/reason.ts";
import { VERDICT_NAMES } from "../judge/verdict.ts";
import type { LogLevel } from "./logger.ts";
import { quoted } from "./quoted-text.ts";
import type { RequestRecord } from "./recorder.ts";

/**
 * The one line about a finished request or refused handshake, with its line end. Put together by hand, because it
 * is written for every request: a tenth of what the general serialiser costs (`docs/log.md` has the fields).
 * Text that others chose goes through `quoted`; names from our own tables are safe as they are.
 */
export function requestLine(record: RequestRecord, level: LogLevel, timestamp: string): string {
  const { route, fault, faultDetail, reason } = record;
  let line =
    `{"level":"${level}","time":"${timestamp}","event":"request",` +
    `"requestId":${quoted(record.requestId)},"traceId":${quoted(record.traceId)},` +
    `"kind":"${record.kind === CALL_KIND.request ? "request" : "handshake"}",` +
    `"method":${quoted(record.method, 32)},"status":${record.status},` +
    `"verdict":"${VERDICT_NAMES[record.verdict]}"`;
  if (route !== undefined) line += `,"routeId":${quoted(route.id)}`;
  if (reason !== REASON.none) line += `,"reason":"${REASON_BY_CODE[reason]?.name ?? reason}"`;
  if (fault !== undefined) line += `,"fault":"${fault}"`;
  if (faultDetail !== undefined) line += `,"faultDetail":${quoted(faultDetail, 512)}`;
  if (record.subject !== "") {
    line += `,"issuer":${quoted(record.issuer)},"subject":${quoted(record.subject)}`;
  }
  if (record.target !== "") line += `,"target":${quoted(record.target)}`;
  return (
    line +
    `,"address":${quoted(record.peer.address, 64)},"connection":${record.peer.connectionNumber},` +
    `"requestBytes":${record.requestBytes},"answerBytes":${record.answerBytes},` +
    `"durationMs":${rounded(record.durationMs)},"upstreamMs":${rounded(record.upstreamMs)},` +
    `"addedMs":${rounded(record.addedMs)}}\n`
  );
}

/** Microseconds suffice; what is not a number would not be JSON. */
export function rounded(milliseconds: number): number {
  return Number.isFinite(milliseconds) ? Math.round(milliseconds * 1_000) / 1_000 : 0;
}
