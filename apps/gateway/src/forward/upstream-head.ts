import type { RequestHead } from "../accept/request-head.ts";
import type { Peer } from "../judge/call.ts";
import { withoutOurCookies } from "./own-cookies.ts";
import { withoutTicket } from "./own-ticket.ts";
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
  const { fields, connectionOptions } = head;
  let text = `${head.method} ${head.path}${withoutTicket(head.query)} HTTP/1.1\r\nHost: ${head.authority}\r\n`;
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const name = fields[at] as string;
    const fate = requestFieldFate(name);
    if (fate === FATE.strip) continue;
    if (connectionOptions.length > 0 && connectionOptions.includes(name.toLowerCase())) continue;
    const value =
      fate === FATE.keep
        ? (fields[at + 1] as string)
        : changed(fate, fields[at + 1] as string, facts);
    if (value !== undefined) text += `${name}: ${value}\r\n`;
  }
  for (let at = 0; at + 1 < extra.length; at += 2) text += `${extra[at]}: ${extra[at + 1]}\r\n`;
  const { peer } = facts;
  const proto = head.isEncrypted ? "https" : "http";
  const node = peer.address.includes(":") ? `"[${peer.address}]"` : peer.address;
  // The authority was checked to hold nothing but a name and a port, so it cannot end the quotes.
  text += `Forwarded: for=${node};host="${head.authority}";proto=${proto}\r\n`;
  text += `X-Forwarded-For: ${peer.address}\r\nX-Forwarded-Host: ${head.authority}\r\nX-Forwarded-Proto: ${proto}\r\n`;
  text += `Via: ${head.httpVersion} ${facts.viaName}\r\nX-Request-Id: ${facts.requestId}\r\n`;
  text += `traceparent: ${facts.traceparent}\r\nTidegate-Assertion: ${facts.assertion}\r\n\r\n`;
  return text;
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
