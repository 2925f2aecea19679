import { FieldLineMemory, readFieldLine } from "../accept/field-line.ts";

/** What the head of an answer says. Never written to: the same object may come again with the next answer. */
export interface AnswerHead {
  readonly status: number;
  /** Flat: name, value, name, value, framing fields included. */
  readonly fields: readonly string[];
  /** Length of the body, or -1 when chunked or until close. */
  readonly bodyBytes: number;
  readonly isChunked: boolean;
  /** Whether the bytes behind the head are no HTTP any more (101). */
  readonly isUpgrade: boolean;
  /** Whether the upstream lets the connection be used again (RFC 9112 §9.3), if the end of the body can be told. */
  readonly keepsConnection: boolean;
  /** What `Keep-Alive: timeout=N` promises, milliseconds; 0 when it promises nothing. */
  readonly keepAliveMs: number;
}

/** Longer heads are read anew each time; shorter ones are kept, one for each connection. */
const MAX_REMEMBERED = 4_096;

/**
 * Reads the heads of one connection, strictly (RFC 9112). An upstream says much the same of itself in every answer, so
 * a head that is equal to the last one is not read again, and otherwise only the lines that changed are.
 */
export class AnswerHeadReader {
  readonly #memory = new FieldLineMemory();
  #lastText = "";
  #last: AnswerHead | undefined;

  /** @param text up to and including the empty line @returns what is wrong, in words */
  read(text: string): AnswerHead | string {
    if (this.#last !== undefined && text === this.#lastText) return this.#last;
    const head = this.#readAnew(text);
    if (typeof head !== "string" && text.length <= MAX_REMEMBERED) {
      this.#lastText = text;
      this.#last = head;
    }
    return head;
  }

  #readAnew(text: string): AnswerHead | string {
    const lineEnd = text.indexOf("\r\n");
    const line = STATUS_LINE.exec(text.slice(0, lineEnd));
    if (line === null) return "The status line is not HTTP/1.1";
    const fields: string[] = [];
    const flaw = this.#readFields(text, lineEnd + 2, fields);
    if (flaw !== undefined) return flaw;
    const status = Number(line[2]);
    if (status < 100) return "The status is below 100";
    // Informational heads frame nothing, and say nothing about the connection.
    if (status < 200 && status !== 101) return { ...INFORMATIONAL, status, fields };
    return toHead(status, fields, line[1] === "0");
  }

  #readFields(text: string, start: number, into: string[]): string | undefined {
    let at = start;
    for (let place = 0; ; place++) {
      const end = text.indexOf("\r\n", at);
      if (end < 0) return "A field line does not end";
      if (end === at) return undefined;
      const line = text.slice(at, end);
      let read = this.#memory.recall(place, line);
      if (read === undefined) {
        // A copy: a part of a text keeps the whole text alive, which here would be every head it came from.
        const fresh = readFieldLine(Buffer.from(line, "latin1").toString("latin1"));
        if (typeof fresh === "string") return fresh;
        read = fresh;
        this.#memory.remember(place, read);
      }
      into.push(read.name, read.value);
      at = end + 2;
    }
  }
}

const STATUS_LINE = /^HTTP\/1\.([01]) (\d{3})(?: [\t\x20-\x7e\x80-\xff]*)?$/;

const INFORMATIONAL = {
  bodyBytes: 0,
  isChunked: false,
  isUpgrade: false,
  keepsConnection: true,
  keepAliveMs: 0,
};

function toHead(status: number, fields: readonly string[], isOld: boolean): AnswerHead | string {
  const framing = new Framing();
  const flaw = framing.gather(fields);
  if (flaw !== undefined) return flaw;
  const { isChunked, length, keepAliveMs } = framing;
  if (isChunked && isOld) return "HTTP/1.0 has no Transfer-Encoding";
  return {
    status,
    fields,
    bodyBytes: isChunked ? -1 : length,
    isChunked,
    isUpgrade: status === 101,
    keepsConnection: isOld ? framing.keepsAlive : !framing.closes,
    keepAliveMs,
  };
}

/** What an answer's fields say about where its body ends (RFC 9112 §6.3). */
class Framing {
  length = -1;
  isChunked = false;
  closes = false;
  keepsAlive = false;
  keepAliveMs = 0;

  gather(fields: readonly string[]): string | undefined {
    for (let at = 0; at < fields.length; at += 2) {
      const name = fields[at] as string;
      const value = fields[at + 1] as string;
      switch (name.length) {
        case 10:
          if (isNamed(name, "connection")) this.#takeConnection(value.toLowerCase());
          else if (isNamed(name, "keep-alive")) this.#takeKeepAlive(value);
          break;
        case 14:
          if (isNamed(name, "content-length")) {
            if (this.length >= 0) return "More than one Content-Length";
            if (!/^\d{1,15}$/.test(value)) return "Content-Length is not a number of bytes";
            this.length = Number(value);
          }
          break;
        case 17:
          if (isNamed(name, "transfer-encoding")) {
            if (this.isChunked || value.toLowerCase() !== "chunked")
              return "Transfer-Encoding is not exactly chunked";
            this.isChunked = true;
          }
          break;
        default:
      }
    }
    return this.isChunked && this.length >= 0 ? "Both a length and chunks" : undefined;
  }

  #takeConnection(value: string): void {
    if (/(?:^|,)\s*close\s*(?:,|$)/.test(value)) this.closes = true;
    if (/(?:^|,)\s*keep-alive\s*(?:,|$)/.test(value)) this.keepsAlive = true;
  }

  #takeKeepAlive(value: string): void {
    const seconds = /(?:^|[,\s])timeout=(\d{1,6})/i.exec(value)?.[1];
    if (seconds !== undefined) this.keepAliveMs = Number(seconds) * 1_000;
  }
}

function isNamed(name: string, lowerCase: string): boolean {
  return name === lowerCase || name.toLowerCase() === lowerCase;
}
