import { toCanonicalPath } from "../route/canonical-path.ts";
import { REASON, type ReasonCode } from "../judge/reason.ts";
import type { RequestHead } from "./request-head.ts";

/** What arrived, as the parser gives it. */
export interface RawRequest {
  readonly method: string;
  readonly target: string;
  readonly httpVersion: "1.0" | "1.1";
  /** Flat: name, value, name, value. */
  readonly fields: readonly string[];
  readonly isEncrypted: boolean;
}

/** A head, with what its path holds that a route must allow; or why it is refused. */
export type Inspected =
  | { readonly head: RequestHead; readonly oddities: number }
  | { readonly reason: ReasonCode; readonly detail: string };

/**
 * Step 1 of the road for HTTP/1: refuses what the parser lets through and a service behind us could read in
 * another way than we do (request smuggling, cache and host confusion), and gathers what later steps ask for.
 * One pass over the fields.
 */
export function inspectRequest(
  raw: RawRequest,
  { maxTargetBytes, servedHosts }: { maxTargetBytes: number; servedHosts: ReadonlySet<string> },
): Inspected {
  const facts = new FieldFacts();
  const flaw = facts.gather(raw.fields);
  if (flaw !== undefined) return malformed(flaw);

  const { transferEncoding } = facts;
  if (transferEncoding !== undefined) {
    // RFC 9112 §6.1: anything but a lone final chunked is read differently by different parsers.
    if (transferEncoding !== "chunked")
      return malformed("Transfer-Encoding is not exactly chunked");
    if (raw.httpVersion === "1.0") return malformed("HTTP/1.0 has no Transfer-Encoding");
  }
  // RFC 9110 §9.3.8: a recipient must not reflect credentials; nobody needs TRACE through a gateway.
  if (raw.method === "TRACE") return malformed("TRACE is not served");
  if (raw.target.length > maxTargetBytes)
    return {
      reason: REASON.target_too_long,
      detail: `The target is longer than ${maxTargetBytes} bytes`,
    };

  const place = splitTarget(raw, facts.host, servedHosts);
  if (typeof place === "string") return malformed(place);
  const canonical = toCanonicalPath(place.path);
  if (canonical === undefined)
    return { reason: REASON.bad_path, detail: "The path has no canonical form" };

  const expect = facts.expect?.toLowerCase();
  if (expect !== undefined && expect !== "100-continue")
    return { reason: REASON.expectation_failed, detail: "Only 100-continue can be expected" };

  const isChunked = transferEncoding !== undefined;
  return {
    oddities: canonical.oddities,
    head: {
      method: raw.method,
      path: canonical.path,
      query: place.query,
      host: hostName(place.authority),
      authority: place.authority,
      httpVersion: raw.httpVersion,
      isEncrypted: raw.isEncrypted,
      fields: raw.fields,
      connectionOptions: facts.connectionOptions,
      authorization: facts.authorization,
      cookie: facts.cookie,
      origin: facts.origin,
      secFetchSite: facts.secFetchSite,
      secFetchMode: facts.secFetchMode,
      secFetchDest: facts.secFetchDest,
      hasCsrfField: facts.csrf === "1",
      expectsContinue: expect !== undefined && raw.httpVersion === "1.1",
      traceparent: facts.traceparent,
      requestId: facts.requestId,
      via: facts.via,
      bodyBytes: isChunked ? -1 : Number(facts.contentLength ?? 0),
      takesTrailers: /(?:^|,)\s*trailers\s*(?:$|[,;])/i.test(facts.te ?? ""),
    },
  };
}

function malformed(detail: string): Inspected {
  return { reason: REASON.malformed_request, detail };
}

const NO_OPTIONS: readonly string[] = [];

// RFC 9110 §7.6.1: Connection takes fields away at this hop. Naming one of these would make us and the
// service behind us disagree about where the body ends, who is addressed, or who is calling.
const NEVER_IN_CONNECTION = new Set(["content-length", "host", "authorization"]);

/** What one pass over the fields finds. Names are compared without case. */
class FieldFacts {
  host: string | undefined;
  authorization: string | undefined;
  contentType: string | undefined;
  contentLength: string | undefined;
  transferEncoding: string | undefined;
  cookie: string | undefined;
  origin: string | undefined;
  expect: string | undefined;
  te: string | undefined;
  via: string | undefined;
  csrf: string | undefined;
  secFetchSite: string | undefined;
  secFetchMode: string | undefined;
  secFetchDest: string | undefined;
  traceparent: string | undefined;
  requestId: string | undefined;
  connectionOptions = NO_OPTIONS;

  /** @returns what is wrong, in words */
  gather(fields: readonly string[]): string | undefined {
    for (let at = 0; at + 1 < fields.length; at += 2) {
      const flaw = this.#take((fields[at] as string).toLowerCase(), fields[at + 1] as string);
      if (flaw !== undefined) return flaw;
    }
    return undefined;
  }

  #take(name: string, value: string): string | undefined {
    switch (name) {
      case "host":
        if (this.host !== undefined) return "More than one Host";
        this.host = value;
        return undefined;
      case "authorization":
        if (this.authorization !== undefined) return "More than one Authorization";
        this.authorization = value;
        return undefined;
      case "content-type":
        if (this.contentType !== undefined) return "More than one Content-Type";
        this.contentType = value;
        return undefined;
      case "content-length":
        // The parser refuses two lengths and odd forms; this is the second lock on the same door.
        if (this.contentLength !== undefined) return "More than one Content-Length";
        if (!/^\d{1,15}$/.test(value)) return "Content-Length is not a number of bytes";
        this.contentLength = value;
        return undefined;
      case "transfer-encoding":
        if (this.transferEncoding !== undefined) return "More than one Transfer-Encoding";
        this.transferEncoding = value;
        return undefined;
      case "connection":
        return this.#takeConnection(value);
      case "cookie":
        // RFC 9113 §8.2.3 lets HTTP/2 split it; joined here, so that nothing hides in a second one.
        this.cookie = this.cookie === undefined ? value : `${this.cookie}; ${value}`;
        return undefined;
      case "origin":
        if (this.origin !== undefined) return "More than one Origin";
        this.origin = value;
        return undefined;
      case "expect":
        this.expect = this.expect === undefined ? value : `${this.expect}, ${value}`;
        return undefined;
      case "te":
        this.te = this.te === undefined ? value : `${this.te}, ${value}`;
        return undefined;
      case "via":
        this.via = this.via === undefined ? value : `${this.via}, ${value}`;
        return undefined;
      case "tidegate-csrf":
        this.csrf = value;
        return undefined;
      case "sec-fetch-site":
        this.secFetchSite = value;
        return undefined;
      case "sec-fetch-mode":
        this.secFetchMode = value;
        return undefined;
      case "sec-fetch-dest":
        this.secFetchDest = value;
        return undefined;
      case "traceparent":
        // W3C Trace Context §3.2: more than one means none.
        this.traceparent = this.traceparent === undefined ? value : "";
        return undefined;
      case "x-request-id":
        this.requestId = value;
        return undefined;
      default:
        return undefined;
    }
  }

  #takeConnection(value: string): string | undefined {
    if (this.connectionOptions === NO_OPTIONS) {
      if (value === "keep-alive" || value === "close") return undefined;
      this.connectionOptions = [];
    }
    const options = value.toLowerCase().split(",");
    for (const option of options) {
      const name = option.trim();
      if (name === "") continue;
      if (NEVER_IN_CONNECTION.has(name)) return `Connection names ${name}`;
      (this.connectionOptions as string[]).push(name);
    }
    return undefined;
  }
}

interface TargetParts {
  readonly authority: string;
  readonly path: string;
  readonly query: string;
}

// RFC 9110 §7.2: host and port, nothing else. A path or userinfo in Host is how routing is confused.
const AUTHORITY = /^(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*)|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/;

/** @returns what is wrong, in words, or the parts */
function splitTarget(
  raw: RawRequest,
  host: string | undefined,
  servedHosts: ReadonlySet<string>,
): TargetParts | string {
  const { target } = raw;
  if (host === undefined && raw.httpVersion === "1.1") return "Host is missing";
  if (host !== undefined && !AUTHORITY.test(host)) return "Host is not a name and a port";
  if (target.includes("#") || target.includes("\\")) return "The target holds # or \\";
  if (target.startsWith("/")) {
    if (target.startsWith("//")) return "The target begins with //";
    return { authority: host ?? "", ...splitQuery(target) };
  }
  const absolute = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/?]*)(.*)$/s.exec(target);
  if (absolute === null) return "The target is neither a path nor an absolute URL";
  const [, scheme = "", authority = "", rest = ""] = absolute;
  if (scheme.toLowerCase() !== (raw.isEncrypted ? "https" : "http"))
    return "The target's scheme is not the one of this listener";
  if (!AUTHORITY.test(authority)) return "The target's authority is not a name and a port";
  if (!servedHosts.has(hostName(authority))) return "The target's host is not served here";
  // RFC 9112 §3.2.2 lets the target win over Host; two that differ are an attack or a broken client.
  if (host !== undefined && host.toLowerCase() !== authority.toLowerCase())
    return "The target's authority is not that of Host";
  if (rest.startsWith("//")) return "The target's path begins with //";
  return { authority, ...splitQuery(rest.startsWith("/") ? rest : `/${rest}`) };
}

function splitQuery(target: string): { path: string; query: string } {
  const mark = target.indexOf("?");
  if (mark < 0) return { path: target, query: "" };
  return { path: target.slice(0, mark), query: target.slice(mark) };
}

function hostName(authority: string): string {
  const end = authority.startsWith("[") ? authority.indexOf("]") + 1 : authority.indexOf(":");
  const name = end > 0 ? authority.slice(0, end) : authority;
  return name.toLowerCase();
}
