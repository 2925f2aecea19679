import { METHODS } from "node:http";
import { REASON, type ReasonCode } from "../judge/reason.ts";

/** Why the bytes are not a request. */
export interface Flaw {
  readonly reason: ReasonCode;
  readonly detail: string;
}

/** The first line of a request. */
export interface RequestLine {
  readonly method: string;
  readonly target: string;
  readonly httpVersion: "1.0" | "1.1";
}

/**
 * Reads a request line, strictly: one blank on either side of a target of printable characters (RFC 9112 §3).
 * @param line without its line end
 */
export function readRequestLine(line: string): RequestLine | Flaw {
  const blank = line.indexOf(" ");
  const end = line.length - VERSION_LENGTH;
  const isNew = line.endsWith(" HTTP/1.1");
  if (!isNew && !line.endsWith(" HTTP/1.0")) {
    const isOther = / HTTP\/\d\.\d$/.test(line);
    return isOther ? OTHER_VERSION : MALFORMED;
  }
  const method = line.slice(0, blank);
  const target = line.slice(blank + 1, end);
  if (!TARGET.test(target)) return MALFORMED;
  if (target.charCodeAt(0) !== SLASH && method !== "CONNECT" && !OTHER_FORM.test(target))
    return MALFORMED;
  if (!KNOWN_METHODS.has(method)) {
    if (!METHOD.test(method)) return MALFORMED;
    return { reason: REASON.method_unknown, detail: "This method is not known" };
  }
  return { method, target, httpVersion: isNew ? "1.1" : "1.0" };
}

const MALFORMED: Flaw = {
  reason: REASON.malformed_request,
  detail: "The bytes are not HTTP/1.1",
};
const OTHER_VERSION: Flaw = { ...MALFORMED, detail: "Only HTTP/1.1 and HTTP/1.0 are spoken" };
const VERSION_LENGTH = " HTTP/1.1".length;

const KNOWN_METHODS: ReadonlySet<string> = new Set(METHODS);
const METHOD = /^[A-Z][A-Z-]{0,31}$/;
// Printable ASCII: a blank would end the target, and everything else must be escaped (RFC 3986 §2).
const TARGET = /^[\x21-\x7e]+$/;
const SLASH = 47;
// RFC 9112 §3.2: a path, `*`, or an absolute form; the authority form is for CONNECT alone.
const OTHER_FORM = /^(?:\*$|[A-Za-z]+:\/\/)/;
