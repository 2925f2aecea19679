import { TOWARDS } from "../judge/call.ts";
import type { LogLevel } from "./logger.ts";
import { quoted } from "./quoted-text.ts";
import type { SocketRecord } from "./recorder.ts";
import { rounded } from "./request-line.ts";

/**
 * The one line about a socket, written at its end, with its line end. Counters stand by direction and class;
 * classes and directions of which nothing was seen are left out.
 */
export function socketLine(record: SocketRecord, level: LogLevel, timestamp: string): string {
  const classes = record.route.websocket?.classes ?? [];
  let line =
    `{"level":"${level}","time":"${timestamp}","event":"socket.ended",` +
    `"connectionId":${quoted(record.connectionId)},"requestId":${quoted(record.requestId)},` +
    `"traceId":${quoted(record.traceId)},"routeId":${quoted(record.route.id)},` +
    `"closeCode":${record.closeCode},"closeReason":${quoted(record.closeReason, 123)},` +
    `"endedBy":"${record.endedBy}"`;
  if (record.subject !== "") {
    line += `,"issuer":${quoted(record.issuer)},"subject":${quoted(record.subject)}`;
  }
  return (
    line +
    `,"target":${quoted(record.target)},"address":${quoted(record.peer.address, 64)},` +
    `"connection":${record.peer.connectionNumber},"durationMs":${rounded(record.durationMs)},` +
    `"delayedMs":${rounded(record.delayedMs)},` +
    `"messages":${counters(record.messages, classes)},` +
    `"bytes":${counters(record.bytes, classes)},` +
    `"dropped":${counters(record.dropped, classes)}}\n`
  );
}

function counters(
  counts: readonly [Float64Array, Float64Array],
  classes: readonly string[],
): string {
  const upstream = byClass(counts[TOWARDS.upstream], classes);
  const client = byClass(counts[TOWARDS.client], classes);
  return `{"upstream":${upstream},"client":${client}}`;
}

function byClass(counts: Float64Array, classes: readonly string[]): string {
  const parts: string[] = [];
  for (const [index, name] of classes.entries()) {
    const count = counts[index] ?? 0;
    if (count !== 0) parts.push(`${quoted(name)}:${count}`);
  }
  return `{${parts.join(",")}}`;
}
