import { inOnePiece } from "../in-one-piece.ts";
import { CALL_KIND, type Peer } from "../judge/call.ts";
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
  const { peer, target } = record;
  // Behind a proxy every request has its own peer, and nothing would come a second time.
  const said = peer.isProxied === true ? undefined : lastSaidOf(peer);
  return (
    `${opening(level, timestamp)}${quoted(record.requestId)},"traceId":${quoted(record.traceId)}` +
    (said === undefined ? describe(record) : describedAsBefore(record, said)) +
    (target === "" ? "" : `,"target":${quoted(target)}`) +
    (said === undefined ? describePeer(peer) : said.peer) +
    `,"requestBytes":${record.requestBytes},"answerBytes":${record.answerBytes},` +
    `"durationMs":${milliseconds(record.durationMs)},"upstreamMs":${milliseconds(record.upstreamMs)},` +
    `"addedMs":${milliseconds(record.addedMs)}}\n`
  );
}

/** Microseconds suffice; what is not a number would not be JSON. */
export function rounded(value: number): number {
  return Number.isFinite(value) ? Math.round(value * 1_000) / 1_000 : 0;
}

// Lines of one millisecond begin alike.
let lastLevel = "";
let lastTimestamp = "";
let lastOpening = "";

function opening(level: LogLevel, timestamp: string): string {
  if (level !== lastLevel || timestamp !== lastTimestamp) {
    lastLevel = level;
    lastTimestamp = timestamp;
    lastOpening = `{"level":"${level}","time":"${timestamp}","event":"request","requestId":`;
  }
  return lastOpening;
}

/** What was last said of a connection. */
interface Said {
  /** Undefined before the first. */
  record: RequestRecord | undefined;
  /** `describe` of it; put in one piece when it is said a second time. */
  text: string;
  isInOnePiece: boolean;
  readonly peer: string;
}

/** Lives and dies with its connection: some 500 bytes. */
const lastSaid = new WeakMap<Peer, Said>();

function lastSaidOf(peer: Peer): Said {
  let said = lastSaid.get(peer);
  if (said === undefined) {
    said = { record: undefined, text: "", isInOnePiece: false, peer: describePeer(peer) };
    lastSaid.set(peer, said);
  }
  return said;
}

/** Who asked for what and what became of it is mostly the same for all requests of a connection. */
function describedAsBefore(record: RequestRecord, said: Said): string {
  if (said.record === undefined || !isDescribedAlike(said.record, record)) {
    said.record = record;
    said.text = describe(record);
    said.isInOnePiece = false;
  } else if (!said.isInOnePiece) {
    said.text = inOnePiece(said.text);
    said.isInOnePiece = true;
  }
  return said.text;
}

/** Whether `describe` says the same of both. */
function isDescribedAlike(one: RequestRecord, other: RequestRecord): boolean {
  return (
    one.kind === other.kind &&
    one.method === other.method &&
    one.status === other.status &&
    one.closeCode === other.closeCode &&
    one.verdict === other.verdict &&
    one.route === other.route &&
    one.reason === other.reason &&
    one.fault === other.fault &&
    one.faultDetail === other.faultDetail &&
    one.issuer === other.issuer &&
    one.subject === other.subject
  );
}

function describe(record: RequestRecord): string {
  const { route, fault, faultDetail, reason } = record;
  let text =
    `,"kind":"${record.kind === CALL_KIND.request ? "request" : "handshake"}",` +
    `"method":${quoted(record.method, 32)},"status":${record.status},` +
    (record.closeCode === 0 ? "" : `"closeCode":${record.closeCode},`) +
    `"verdict":"${VERDICT_NAMES[record.verdict]}"`;
  if (route !== undefined) text += `,"routeId":${quoted(route.id)}`;
  if (reason !== REASON.none) text += `,"reason":"${REASON_BY_CODE[reason]?.name ?? reason}"`;
  if (fault !== undefined) text += `,"fault":"${fault}"`;
  if (faultDetail !== undefined) text += `,"faultDetail":${quoted(faultDetail, 512)}`;
  if (record.subject !== "") {
    text += `,"issuer":${quoted(record.issuer)},"subject":${quoted(record.subject)}`;
  }
  return text;
}

function describePeer({ address, connectionNumber }: Peer): string {
  return `,"address":${quoted(address, 64)},"connection":${connectionNumber}`;
}

/** `rounded`, as text: digits from a table, because fractions are the slowest of numbers to write down. */
function milliseconds(value: number): string {
  const microseconds = Math.round(value * 1_000);
  if (!(microseconds >= 0 && microseconds < LARGEST)) return String(rounded(value));
  const whole = Math.floor(microseconds / 1_000);
  return `${whole}${FRACTIONS[microseconds - whole * 1_000]}`;
}

// Small integers, on which the above is exact.
const LARGEST = 2 ** 31;
const FRACTIONS = Array.from({ length: 1_000 }, (_, thousandths) =>
  String(thousandths / 1_000).slice(1),
);
