import { REASON, type ReasonCode } from "../judge/reason.ts";
import { readRequestLine, type Flaw, type RequestLine } from "./request-line.ts";
import { FieldLineMemory, LINE, readFieldLine, type FieldLine } from "./field-line.ts";

/** The head of a request, framed. What its fields mean beyond that is `inspect-request.ts`. */
export interface ParsedHead {
  readonly method: string;
  readonly target: string;
  readonly httpVersion: "1.0" | "1.1";
  /** Flat: name, value, name, value. The same array as last time when all lines are the same; never written to. */
  readonly fields: readonly string[];
  /** Content-Length; -1 when chunked; 0 when there is no body. */
  readonly bodyBytes: number;
  /** Whether the client lets the connection be used again (RFC 9112 §9.3). */
  readonly keepsAlive: boolean;
  /** The value of Upgrade, when Connection names it too (RFC 9110 §7.8). */
  readonly upgrade: string | undefined;
}

/** What `step` came upon. */
export const STEP = {
  /** All bytes are taken and more are needed. */
  more: 0,
  /** `head` is there. A request without a body ends with it. */
  head: 1,
  /** Bytes of the body: `[chunkStart, chunkEnd)` of what was given. */
  chunk: 2,
  /** The body is whole; `trailers` are there. */
  ended: 3,
  /** `flaw` says what is wrong. Nothing may be parsed after it. */
  flaw: 4,
} as const;
export type Step = (typeof STEP)[keyof typeof STEP];

const STATE = { head: 0, sized: 1, chunkSize: 2, chunkData: 3, chunkEnd: 4, trailers: 5, over: 6 };

/** Longest chunk-size line; extensions are read over and forgotten (RFC 9112 §7.1.1). */
const MAX_CHUNK_LINE_BYTES = 1_024;
/** Bytes of a head that are taken as text at once: most heads are smaller, and bodies must not be copied. */
const GLANCE_BYTES = 4_096;

/**
 * Reads requests from bytes, strictly: what two parsers could read differently is a flaw (request smuggling). RFC 9112;
 * never more lenient than the platform's parser, which a differential test holds it to. It stops wherever there is
 * something to say, so that the connection decides when it goes on; bodies are never copied.
 *
 * A line is judged when its end is there, so the answer to bad bytes does not depend on how they were cut.
 */
export class RequestParser {
  readonly #maxHeaderBytes: number;
  readonly #memory = new FieldLineMemory();
  #state = STATE.head;
  /** The unfinished line of a head, of a chunk's size or of trailers; bounded by the limit of each. */
  #rest = "";
  /** Bytes of the running head or trailer section that are taken. */
  #sectionBytes = 0;
  #leftBytes = 0;
  /** Whether an empty line was left out before the request line. */
  #hasSkipped = false;
  #requestLine: RequestLine | undefined;
  /** What is known of the running head's fields. */
  #fields: string[] = [];
  #place = 0;
  #isSameAsLast = true;
  #lastFields: readonly string[] = [];
  #length = -1;
  #isChunked = false;
  #closes = false;
  #keeps = false;
  #namesUpgrade = false;
  #upgrade: string | undefined;

  /** Valid after `STEP.head`. */
  head: ParsedHead | undefined;
  /** Valid after `STEP.chunk`. */
  chunkStart = 0;
  chunkEnd = 0;
  /** Valid after `STEP.ended`. Flat list. */
  trailers: string[] = NOTHING;
  flaw: Flaw = { reason: REASON.malformed_request, detail: "" };
  /** Where the bytes of the last step end. */
  at = 0;

  constructor(maxHeaderBytes: number) {
    this.#maxHeaderBytes = maxHeaderBytes;
  }

  /** Whether the bytes that come next belong to a body. */
  get isInBody(): boolean {
    return this.#state !== STATE.head && this.#state !== STATE.over;
  }

  /** Whether a head has begun and is not whole. */
  get isInHead(): boolean {
    return this.#state === STATE.head && (this.#requestLine !== undefined || this.#rest !== "");
  }

  /** Reads on from `start`, which must be inside `bytes`; sets `at` behind what it took. */
  step(bytes: Buffer, start: number): Step {
    this.at = start;
    switch (this.#state) {
      case STATE.head:
        return this.#readHead(bytes);
      case STATE.sized:
      case STATE.chunkData:
        return this.#readBody(bytes);
      case STATE.chunkSize:
        return this.#readChunkSize(bytes);
      case STATE.chunkEnd:
        return this.#readChunkEnd(bytes);
      case STATE.trailers:
        return this.#readTrailers(bytes);
      default:
        return this.#bad("Bytes follow what was refused");
    }
  }

  #readHead(bytes: Buffer): Step {
    const start = this.at;
    if (this.#sectionBytes === 0 && this.#rest === "" && !this.#hasSkipped) {
      const first = bytes[start] as number;
      // Something else than HTTP (TLS, for one) is told so at its first byte.
      if (first !== CARRIAGE_RETURN && !(first >= UPPER_A && first <= UPPER_Z))
        return this.#bad("The bytes are not HTTP/1.1");
    }
    const before = this.#rest;
    const roomBytes = this.#maxHeaderBytes - this.#sectionBytes - before.length;
    let endOfText = Math.min(bytes.length, start + Math.min(roomBytes, GLANCE_BYTES));
    let text = bytes.toString("latin1", start, endOfText);
    if (before !== "") {
      // Only a line end makes the line worth joining, so that a client which sends single bytes costs little.
      if (!text.includes("\n")) {
        this.#rest = before + text;
        this.at = endOfText;
        return this.#enoughRoom(bytes);
      }
      text = before + text;
      this.#rest = "";
    }
    let line = 0;
    for (;;) {
      const feed = text.indexOf("\n", line);
      if (feed < 0) break;
      const taken = this.#takeHeadLine(text, line, feed);
      line = feed + 1;
      if (taken !== STEP.more) {
        this.at = start + line - before.length;
        return taken;
      }
    }
    this.#sectionBytes += line;
    this.#rest = text.slice(line);
    this.at = endOfText;
    return this.#enoughRoom(bytes);
  }

  /** More of the same bytes, more bytes, or too many. */
  #enoughRoom(bytes: Buffer): Step {
    if (this.#sectionBytes + this.#rest.length >= this.#maxHeaderBytes) {
      return this.#refuse(REASON.fields_too_large, "The fields are larger than allowed");
    }
    return this.at < bytes.length ? this.#readHead(bytes) : STEP.more;
  }

  /** @returns `head` when it was the empty line, `more` when there are lines to come, or `flaw` */
  #takeHeadLine(text: string, start: number, feed: number): Step {
    const end = feed - 1;
    // RFC 9112 §2.2 lets a recipient take a bare LF for a line end; who does and who does not is how requests hide.
    if (end < start || text.charCodeAt(end) !== CARRIAGE_RETURN)
      return this.#bad("A line ends without CR");
    if (this.#requestLine === undefined) {
      if (end === start) {
        // RFC 9112 §2.2: some old clients send an empty line behind a body. One, not any number of them.
        if (this.#hasSkipped) return this.#bad("Empty lines come before the request");
        this.#hasSkipped = true;
        return STEP.more;
      }
      const read = readRequestLine(text.slice(start, end));
      if ("reason" in read) {
        this.flaw = read;
        this.#state = STATE.over;
        return STEP.flaw;
      }
      this.#requestLine = read;
      return STEP.more;
    }
    if (end === start) return this.#finishHead(this.#requestLine);
    return this.#takeField(text.slice(start, end));
  }

  #takeField(text: string): Step {
    const place = this.#place++;
    let line: FieldLine | string | undefined = this.#memory.recall(place, text);
    if (line === undefined) {
      if (this.#isSameAsLast) this.#forkFields(place);
      // A copy: a part of a text keeps the whole text alive, which here would be every head it came from.
      line = readFieldLine(Buffer.from(text, "latin1").toString("latin1"));
      if (typeof line === "string") return this.#bad(line);
      this.#memory.remember(place, line);
    } else if (this.#isSameAsLast && this.#lastFields[place * 2] !== line.name) {
      this.#forkFields(place);
    }
    if (!this.#isSameAsLast) this.#fields.push(line.name, line.value);
    return line.kind === LINE.ordinary ? STEP.more : this.#takeFraming(line);
  }

  /** The first `place` lines are those of the last head, this one is not. */
  #forkFields(place: number): void {
    this.#isSameAsLast = false;
    this.#fields = this.#lastFields.slice(0, place * 2);
  }

  #takeFraming({ kind, value, text }: FieldLine): Step {
    // Allowed white space (RFC 9110 §5.5), and yet a known way to make one parser overlook the field.
    if (kind <= LINE.transferEncoding && (text.includes("\t") || !text.endsWith(value)))
      return this.#bad("Odd blanks beside what frames the body");
    switch (kind) {
      case LINE.contentLength:
        // RFC 9112 §6.3: two lengths, even equal ones, are read differently by different parsers.
        if (this.#length >= 0) return this.#bad("More than one Content-Length");
        if (!LENGTH.test(value)) return this.#bad("Content-Length is not a number of bytes");
        this.#length = Number(value);
        break;
      case LINE.transferEncoding:
        // RFC 9112 §6.1: anything but a lone final chunked is read differently by different parsers.
        if (this.#isChunked || value !== "chunked")
          return this.#bad("Transfer-Encoding is not exactly chunked");
        this.#isChunked = true;
        break;
      case LINE.connection:
        for (const option of value.toLowerCase().split(",")) {
          const name = option.trim();
          if (name === "close") this.#closes = true;
          else if (name === "keep-alive") this.#keeps = true;
          else if (name === "upgrade") this.#namesUpgrade = true;
        }
        break;
      default:
        this.#upgrade = this.#upgrade === undefined ? value : `${this.#upgrade}, ${value}`;
    }
    return STEP.more;
  }

  #finishHead({ method, target, httpVersion }: RequestLine): Step {
    if (this.#isChunked && this.#length >= 0) return this.#bad("Both a length and chunks");
    if (this.#isChunked && httpVersion === "1.0")
      return this.#bad("HTTP/1.0 has no Transfer-Encoding");
    if (this.#isSameAsLast && this.#lastFields.length !== this.#place * 2)
      this.#forkFields(this.#place);
    const fields = this.#isSameAsLast ? this.#lastFields : this.#fields;
    const bodyBytes = this.#isChunked ? -1 : Math.max(0, this.#length);
    this.head = {
      method,
      target,
      httpVersion,
      fields,
      bodyBytes,
      keepsAlive: httpVersion === "1.1" ? !this.#closes : this.#keeps && !this.#closes,
      upgrade: this.#namesUpgrade ? this.#upgrade : undefined,
    };
    this.#leftBytes = bodyBytes;
    this.#state = bodyBytes === 0 ? STATE.head : bodyBytes < 0 ? STATE.chunkSize : STATE.sized;
    this.#lastFields = fields;
    this.#requestLine = undefined;
    this.#fields = NOTHING;
    this.#place = 0;
    this.#isSameAsLast = true;
    this.#sectionBytes = 0;
    this.#hasSkipped = false;
    this.#length = -1;
    this.#isChunked = false;
    this.#closes = false;
    this.#keeps = false;
    this.#namesUpgrade = false;
    this.#upgrade = undefined;
    return STEP.head;
  }

  #readBody(bytes: Buffer): Step {
    const take = Math.min(bytes.length - this.at, this.#leftBytes);
    this.chunkStart = this.at;
    this.chunkEnd = this.at + take;
    this.at = this.chunkEnd;
    this.#leftBytes -= take;
    if (this.#leftBytes === 0 && this.#state === STATE.chunkData) this.#state = STATE.chunkEnd;
    return STEP.chunk;
  }

  /** Whether the declared bytes have all come, so that `finish` says the end without more bytes. */
  get isBodyWhole(): boolean {
    return this.#state === STATE.sized && this.#leftBytes === 0;
  }

  /** Ends a body whose bytes have all come. */
  finish(): Step {
    return this.#endBody(NOTHING);
  }

  #endBody(trailers: string[]): Step {
    this.trailers = trailers;
    this.#state = STATE.head;
    this.#sectionBytes = 0;
    return STEP.ended;
  }

  #readChunkSize(bytes: Buffer): Step {
    const line = this.#readLine(bytes, MAX_CHUNK_LINE_BYTES);
    if (line === undefined) return STEP.more;
    if (line === TOO_LONG) return this.#bad("A chunk's size line is too long");
    const size = CHUNK_SIZE.exec(line);
    if (size === null) return this.#bad("A chunk has no valid size");
    this.#leftBytes = Number.parseInt(size[1] as string, 16);
    this.#state = this.#leftBytes === 0 ? STATE.trailers : STATE.chunkData;
    this.#fields = [];
    return this.at < bytes.length ? this.step(bytes, this.at) : STEP.more;
  }

  #readChunkEnd(bytes: Buffer): Step {
    const line = this.#readLine(bytes, 2);
    if (line === undefined) return STEP.more;
    if (line !== "\r\n") return this.#bad("A chunk does not end where its size says");
    this.#state = STATE.chunkSize;
    return this.at < bytes.length ? this.step(bytes, this.at) : STEP.more;
  }

  #readTrailers(bytes: Buffer): Step {
    for (;;) {
      const line = this.#readLine(bytes, this.#maxHeaderBytes - this.#sectionBytes);
      if (line === undefined) return STEP.more;
      if (line === TOO_LONG)
        return this.#refuse(REASON.fields_too_large, "The trailers are larger than allowed");
      if (!line.endsWith("\r\n")) return this.#bad("A line ends without CR");
      if (line === "\r\n") return this.#endBody(this.#fields);
      this.#sectionBytes += line.length;
      const read = readFieldLine(line.slice(0, -2));
      if (typeof read === "string") return this.#bad(read);
      // RFC 9110 §6.5.1: a length behind the body it would measure is an attempt on the next parser.
      if (read.kind === LINE.contentLength || read.kind === LINE.transferEncoding)
        return this.#bad("A trailer frames a body");
      this.#fields.push(read.name, read.value);
      if (this.at >= bytes.length) return STEP.more;
    }
  }

  /** @returns a line with its line end, `TOO_LONG`, or undefined when it is not whole yet */
  #readLine(bytes: Buffer, maxBytes: number): string | undefined {
    const start = this.at;
    const feed = bytes.indexOf(LINE_FEED, start);
    const end = feed < 0 ? bytes.length : feed + 1;
    const before = this.#rest;
    if (before.length + end - start > maxBytes) {
      this.at = start + maxBytes - before.length + 1;
      return TOO_LONG;
    }
    const text = before + bytes.toString("latin1", start, end);
    this.at = end;
    this.#rest = feed < 0 ? text : "";
    return feed < 0 ? undefined : text;
  }

  #bad(detail: string): Step {
    return this.#refuse(REASON.malformed_request, detail);
  }

  #refuse(reason: ReasonCode, detail: string): Step {
    this.flaw = { reason, detail };
    this.#state = STATE.over;
    this.#rest = "";
    return STEP.flaw;
  }
}

const CARRIAGE_RETURN = 13;
const LINE_FEED = 10;
const UPPER_A = 65;
const UPPER_Z = 90;
const NOTHING: string[] = [];
/** No line of a request, because lines end. */
const TOO_LONG = "";
// 15 digits, and 13 hexadecimal ones, stay below 2^53.
const LENGTH = /^\d{1,15}$/;
// RFC 9112 §7.1.1, without blanks around an extension's parts, which only old grammars allowed.
const CHUNK_SIZE =
  /^([0-9A-Fa-f]{1,13})(?:;[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:=(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+|"[\t !#-[\]-~\x80-\xff]*"))?)*\r\n$/;
