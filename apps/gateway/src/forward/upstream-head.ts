import type { RequestHead } from "../accept/request-head.ts";
import { inOnePiece } from "../in-one-piece.ts";
import type { Peer } from "../judge/call.ts";
import { withoutOurCookies } from "./own-cookies.ts";
import { withoutTicket } from "../ticket/presented-ticket.ts";
import { FATE, requestFieldFate, trailerFate } from "./field-fate.ts";

/** What the gateway says to the upstream about a call. */
export interface ForwardedFacts {
  readonly peer: Peer;
  /** The value of `Tidegate-Assertion`. */
  readonly assertion: string;
  readonly traceparent: string;
  readonly keepsTracestate: boolean;
  readonly requestId: string;
  /** Our name in Via; an answer or request that carries it has been here. */
  readonly viaName: string;
  readonly forwardAuthorization: boolean;
  /** Names, in lower case, of fields that carry API keys: they are ours alone. */
  readonly keyFields: ReadonlySet<string>;
}

/**
 * The head of a request as it goes upstream, up to and including the empty line: strip first, add last.
 * @param extra flat list of fields that frame the body or ask for an upgrade
 */
export function buildUpstreamHead(
  head: RequestHead,
  facts: ForwardedFacts,
  extra: readonly string[],
): string {
  const { passed, added } = connectionLines(head, facts);
  let text = `${head.method} ${head.path}${withoutTicket(head.query)} HTTP/1.1\r\n${passed}`;
  for (let at = 0; at + 1 < extra.length; at += 2) text += `${extra[at]}: ${extra[at + 1]}\r\n`;
  return (
    `${text}${added}X-Request-Id: ${facts.requestId}\r\n` +
    `traceparent: ${facts.traceparent}\r\nTidegate-Assertion: ${facts.assertion}\r\n\r\n`
  );
}

/** Lines that say the same of every request of a connection, as long as its client does. */
interface ConnectionLines {
  /** What they were made of. */
  fields: readonly string[];
  authority: string;
  httpVersion: string;
  isEncrypted: boolean;
  forwardAuthorization: boolean;
  keepsTracestate: boolean;
  /** Host, and the client's fields that may pass. */
  passed: string;
  /** Who asked, and by which way. */
  added: string;
  /** Whether they came a second time, and were put in one piece for all times to come. */
  isKept: boolean;
}

/** Lives and dies with its connection. Bounded by what a head may have, as the list of fields beside it. */
const lastLines = new WeakMap<Peer, ConnectionLines>();

/** Behind a proxy every request has its own peer, and nothing is kept. */
function connectionLines(head: RequestHead, facts: ForwardedFacts): ConnectionLines {
  const { peer } = facts;
  if (peer.isProxied === true) return toConnectionLines(head, facts);
  const last = lastLines.get(peer);
  if (last === undefined) {
    const fresh = toConnectionLines(head, facts);
    lastLines.set(peer, fresh);
    return fresh;
  }
  const isSame =
    // The parser gives the same list again when every line is the same, so that nothing is compared here.
    last.fields === head.fields &&
    last.authority === head.authority &&
    last.httpVersion === head.httpVersion &&
    last.isEncrypted === head.isEncrypted &&
    last.forwardAuthorization === facts.forwardAuthorization &&
    last.keepsTracestate === facts.keepsTracestate;
  if (!isSame) return Object.assign(last, toConnectionLines(head, facts));
  if (!last.isKept) {
    last.isKept = true;
    last.passed = inOnePiece(last.passed);
    last.added = inOnePiece(last.added);
  }
  return last;
}

function toConnectionLines(head: RequestHead, facts: ForwardedFacts): ConnectionLines {
  const { fields, authority, httpVersion, isEncrypted } = head;
  const { peer, forwardAuthorization, keepsTracestate, viaName } = facts;
  const proto = isEncrypted ? "https" : "http";
  const node = peer.address.includes(":") ? `"[${peer.address}]"` : peer.address;
  return {
    fields,
    authority,
    httpVersion,
    isEncrypted,
    forwardAuthorization,
    keepsTracestate,
    passed: `Host: ${authority}\r\n${passingLines(head, facts)}`,
    // The authority was checked to hold nothing but a name and a port, so it cannot end the quotes.
    added:
      `Forwarded: for=${node};host="${authority}";proto=${proto}\r\n` +
      `X-Forwarded-For: ${peer.address}\r\nX-Forwarded-Host: ${authority}\r\nX-Forwarded-Proto: ${proto}\r\n` +
      `Via: ${httpVersion} ${viaName}\r\n`,
    isKept: false,
  };
}

function passingLines(head: RequestHead, facts: ForwardedFacts): string {
  const { fields, connectionOptions } = head;
  let lines = "";
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const name = fields[at] as string;
    const fate = requestFieldFate(name);
    if (fate === FATE.strip) continue;
    if (facts.keyFields.size > 0 && facts.keyFields.has(name.toLowerCase())) continue;
    if (connectionOptions.length > 0 && connectionOptions.includes(name.toLowerCase())) continue;
    const value =
      fate === FATE.keep
        ? (fields[at + 1] as string)
        : changed(fate, fields[at + 1] as string, facts);
    if (value !== undefined) lines += `${name}: ${value}\r\n`;
  }
  return lines;
}

/** Trailers that may pass, as field lines. @param trailers flat list of names and values */
export function trailerLines(trailers: readonly string[]): string {
  let lines = "";
  for (let at = 0; at + 1 < trailers.length; at += 2)
    if (trailerFate(trailers[at] as string) === FATE.keep)
      lines += `${trailers[at]}: ${trailers[at + 1]}\r\n`;
  return lines;
}

function changed(fate: number, value: string, facts: ForwardedFacts): string | undefined {
  switch (fate) {
    case FATE.cookie:
      return withoutOurCookies(value);
    case FATE.authorization:
      return facts.forwardAuthorization ? value : undefined;
    case FATE.tracestate:
      return facts.keepsTracestate ? value : undefined;
    default:
      return value;
  }
}
