import { STATUS_CODES } from "node:http";
import type { AnswerListener, AnswerWriter } from "./exchange.ts";
import { flushSoon } from "../write-batch.ts";
import type { Http1Body } from "./http1-body.ts";
import { writtenLine } from "./written-line.ts";

/** What an answer asks of its connection. */
export interface AnswerSink {
  readonly isGone: boolean;
  /** Whether the client has not taken what was written before. */
  readonly isSlow: boolean;
  /** Whether this answer must be the connection's last. */
  readonly endsAfterAnswer: boolean;
  /** What every answer says of the time and of the connection's life, as field lines with the empty line. */
  readonly tailOfKept: string;
  readonly tailOfLast: string;
  dateLine(): string;
  /** Latin-1 text, for the kernel at once. @returns false when the client is slow */
  writeText(text: string): boolean;
  /** Text, bytes, text in one go. The bytes are lent. @returns false when the client is slow */
  writeAround(before: string, bytes: Buffer, after: string): boolean;
  /** The head of a last answer is about to leave: nothing behind the running request is looked at any more. */
  close(): void;
  /** Calls `late` unless the connection got on within `waitMs`. */
  expectWithin(waitMs: number, late: () => void): void;
  /** The answer is written. @param isLast whether our side ends with it */
  finished(isLast: boolean): void;
  destroy(): void;
  /** Ends the connection so that what was sent cannot pass for whole. */
  reset(): void;
}

/** An upload that has no more than this to come is read to its end, and the connection kept. */
const SMALL_REST_BYTES = 65_536;
/** How long, and for how many bytes, we go on reading after a last answer, so that the client gets to see it. */
export const LINGER_MS = 1_000;
export const LINGER_BYTES = 1_048_576;
/** Up to here a body's bytes join the text before them, so that one system call carries both. */
const JOINED_BYTES = 8_192;

/**
 * Writes one answer of HTTP/1. Head and first bytes gather until the turn of the event loop is over, and leave with
 * one write; nothing waits longer (server-sent events, long polls).
 */
export class Http1Answer implements AnswerWriter {
  listener: AnswerListener | undefined;
  isHeadSent = false;
  readonly #connection: AnswerSink;
  readonly #body: Http1Body;
  readonly #isHeadRequest: boolean;
  readonly #isHttp10: boolean;
  /** Latin-1; what was written and has not left. Bounded by a head, `JOINED_BYTES` and the frame of a chunk. */
  #text = "";
  #isBatched = false;
  #hasBody = true;
  #isChunked = false;
  #isLast: boolean;
  #isUntilClose = false;
  #isEnded = false;
  /** Whether everything was handed to the connection. */
  isFinished = false;
  #isGone = false;

  constructor(
    connection: AnswerSink,
    request: { method: string; httpVersion: string; keepsAlive: boolean },
    body: Http1Body,
  ) {
    this.#connection = connection;
    this.#body = body;
    this.#isHeadRequest = request.method === "HEAD";
    this.#isHttp10 = request.httpVersion === "1.0";
    this.#isLast = !request.keepsAlive;
  }

  inform(status: number, fields: readonly string[]): void {
    if (this.#isHttp10 || this.isHeadSent || this.#connection.isGone) return;
    this.#connection.writeText(`${statusLine(status)}${fieldLines(fields)}\r\n`);
  }

  head(status: number, fields: readonly string[], bodyBytes: number): void {
    this.isHeadSent = true;
    const connection = this.#connection;
    if (connection.isGone) return;
    const isBodiless = this.#isHeadRequest || status === 204 || status === 304;
    this.#hasBody = !isBodiless && bodyBytes !== 0;
    this.#isChunked = this.#hasBody && bodyBytes < 0 && !this.#isHttp10;
    this.#isUntilClose = this.#hasBody && bodyBytes < 0 && this.#isHttp10;
    let text = statusLine(status) + fieldLines(fields, this.#isChunked);
    if (!hasDate(fields)) text += connection.dateLine();
    if (bodyBytes >= 0 && status !== 204) text += `Content-Length: ${bodyBytes}\r\n`;
    else if (this.#isChunked) text += "Transfer-Encoding: chunked\r\n";
    if (!this.#body.isDone && !this.#body.endsWithin(SMALL_REST_BYTES)) this.#isLast = true;
    if (this.#isUntilClose || connection.endsAfterAnswer) this.#isLast = true;
    if (this.#isLast) connection.close();
    this.#gather(text + (this.#isLast ? connection.tailOfLast : connection.tailOfKept));
  }

  write(bytes: Buffer): boolean {
    if (!this.#hasBody || bytes.length === 0 || this.#connection.isGone) return true;
    const before = this.#isChunked ? `${bytes.length.toString(16)}\r\n` : "";
    const after = this.#isChunked ? "\r\n" : "";
    if (bytes.length > JOINED_BYTES || this.#text.length > JOINED_BYTES) {
      const text = this.#text + before;
      this.#text = "";
      return this.#connection.writeAround(text, bytes, after);
    }
    this.#gather(before + bytes.toString("latin1") + after);
    return !this.#connection.isSlow;
  }

  end(trailers: readonly string[]): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    const connection = this.#connection;
    if (connection.isGone) return;
    if (this.#isChunked) this.#gather(`0\r\n${fieldLines(trailers)}\r\n`);
    const body = this.#body;
    if (body.isDone || body.awaitsContinue) {
      this.#finish();
    } else if (this.#isLast) {
      this.#flush();
      // A client in the middle of an upload gets to read our answer before the connection ends.
      connection.expectWithin(LINGER_MS, this.#finish);
      body.discard(LINGER_BYTES, this.#finish);
    } else {
      this.#flush();
      connection.expectWithin(LINGER_MS, () => connection.destroy());
      body.discard(SMALL_REST_BYTES, this.#finish);
    }
  }

  destroy(): void {
    this.#isEnded = true;
    this.#text = "";
    // Only a reset tells a client of HTTP/1.0 that a body which lasts until the close is not whole.
    if (this.isHeadSent && this.#isUntilClose) this.#connection.reset();
    else this.#connection.destroy();
  }

  closeAfter(): void {
    this.#isLast = true;
  }

  // The connection's side.

  /**
   * The rest of the request is not HTTP. Who works on it stops; an answer that is whole still leaves.
   * @returns whether no answer was begun, so that there is room for a refusal
   */
  giveUpBody(): boolean {
    if (this.#isEnded) {
      this.#isLast = true;
      this.#connection.close();
      this.#finish();
      return false;
    }
    this.#isEnded = true;
    this.gone();
    if (this.isHeadSent) this.#connection.destroy();
    return !this.isHeadSent;
  }

  /** The client takes bytes again. */
  drained(): void {
    this.listener?.clientDrained();
  }

  /** The client went away before the answer left. */
  gone(): void {
    if (this.#isGone || this.isFinished) return;
    this.#isGone = true;
    this.listener?.clientGone();
  }

  #gather(text: string): void {
    if (!this.#isBatched) {
      this.#isBatched = true;
      flushSoon(this);
    }
    this.#text += text;
  }

  flushBatch(): void {
    this.#isBatched = false;
    this.#flush();
  }

  #flush = (): void => {
    const text = this.#text;
    if (text === "" || this.#connection.isGone) return;
    this.#text = "";
    this.#connection.writeText(text);
    if (this.isFinished) this.#connection.finished(this.#isLast);
  };

  #finish = (): void => {
    if (this.isFinished || this.#connection.isGone) return;
    this.isFinished = true;
    if (this.#text === "") this.#connection.finished(this.#isLast);
  };
}

const statusLines = new Map<number, string>();

function statusLine(status: number): string {
  let line = statusLines.get(status);
  if (line === undefined) {
    line = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Unknown"}\r\n`;
    // At most as many as there are three-digit numbers.
    statusLines.set(status, line);
  }
  return line;
}

/** @param keepsTrailer only chunked bodies have trailers, so only they may announce them */
function fieldLines(fields: readonly string[], keepsTrailer = true): string {
  let text = "";
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const name = fields[at] as string;
    if (!keepsTrailer && name.length === 7 && name.toLowerCase() === "trailer") continue;
    text += writtenLine(at >> 1, name, fields[at + 1] as string);
  }
  return text;
}

function hasDate(fields: readonly string[]): boolean {
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at] as string;
    if (name.length === 4 && name.toLowerCase() === "date") return true;
  }
  return false;
}
