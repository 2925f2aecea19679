import type { IncomingMessage, ServerResponse } from "node:http";
import type { AnswerListener, AnswerWriter } from "./exchange.ts";
import type { Http1Body } from "./http1-body.ts";
import { LINGER_BYTES, LINGER_MS, type Http1Connection } from "./http1-connection.ts";

/** An upload that has no more than this to come is read to its end, and the connection kept. */
const SMALL_REST_BYTES = 65_536;

/** A body no longer than this, when it comes in one piece, leaves with its head in one string: one buffer, one write. */
const SMALL_BODY_BYTES = 8_192;

/** Writes an answer of HTTP/1 through the platform's response. */
export class Http1Answer implements AnswerWriter {
  listener: AnswerListener | undefined;
  isHeadSent = false;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #body: Http1Body;
  readonly #connection: Http1Connection;
  /** How long a finished answer may take to leave (slow reader). */
  readonly #flushTimeoutMs: number;
  #hasBody = true;
  #isLast = false;
  #isUntilClose = false;
  #isEnded = false;
  #isGone = false;
  #hasWritten = false;
  #bodyBytes = 0;
  /** The whole of a small body, between `write` and the `end` that follows in the same turn. */
  #whole: Buffer | undefined;
  #listensForDrain = false;

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    {
      body,
      connection,
      flushTimeoutMs,
    }: { body: Http1Body; connection: Http1Connection; flushTimeoutMs: number },
  ) {
    this.#request = request;
    this.#response = response;
    this.#body = body;
    this.#connection = connection;
    this.#flushTimeoutMs = flushTimeoutMs;
    response.on("close", this.#onClose);
  }

  inform(status: number, fields: readonly string[]): void {
    if (this.#request.httpVersionMinor === 0 || this.isHeadSent || this.#response.destroyed) return;
    this.#response.writeInformation(status, fields as string[]);
  }

  head(status: number, fields: readonly string[], bodyBytes: number): void {
    this.isHeadSent = true;
    if (this.#response.destroyed) return;
    const isBodiless = this.#request.method === "HEAD" || status === 204 || status === 304;
    const isHttp10 = this.#request.httpVersionMinor === 0;
    this.#hasBody = !isBodiless && bodyBytes !== 0;
    this.#bodyBytes = bodyBytes;
    const isChunked = this.#hasBody && bodyBytes < 0 && !isHttp10;
    this.#isUntilClose = this.#hasBody && bodyBytes < 0 && isHttp10;
    const list = isChunked ? (fields as string[]) : withoutTrailerField(fields);
    if (bodyBytes >= 0 && status !== 204) list.push("Content-Length", String(bodyBytes));
    if (!this.#body.isDone && !this.#body.endsWithin(SMALL_REST_BYTES)) this.#isLast = true;
    if (this.#connection.endsAfterAnswer) this.#isLast = true;
    if (this.#isLast) {
      list.push("Connection", "close");
      this.#connection.close();
    }
    this.#response.writeHead(status, list);
    // The head usually leaves together with the body's first bytes; when none came in the same turn it must
    // not wait for them (server-sent events, long polls).
    if (this.#hasBody) queueMicrotask(this.#flushHead);
  }

  write(bytes: Buffer): boolean {
    this.#hasWritten = true;
    if (!this.#hasBody || this.#response.destroyed) return true;
    if (bytes.length === this.#bodyBytes && bytes.length <= SMALL_BODY_BYTES) {
      this.#whole = bytes;
      return true;
    }
    const isTaken = this.#response.write(bytes);
    if (!isTaken && !this.#listensForDrain) {
      this.#listensForDrain = true;
      this.#response.on("drain", () => this.listener?.clientDrained());
    }
    return isTaken;
  }

  end(trailers: readonly string[]): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    const response = this.#response;
    const connection = this.#connection;
    if (response.destroyed) return;
    if (trailers.length > 0 && response.chunkedEncoding) response.addTrailers(toPairs(trailers));
    if (this.#body.isDone || this.#body.awaitsContinue) {
      this.#finish();
    } else if (this.#isLast) {
      this.#writeWhole();
      response.flushHeaders();
      // A client in the middle of an upload gets to read our answer before the connection ends.
      connection.expectWithin(LINGER_MS, this.#finish);
      this.#body.discard(LINGER_BYTES, this.#finish);
    } else {
      connection.expectWithin(LINGER_MS, () => {
        if (!this.#request.complete) connection.socket.destroy();
      });
      this.#body.discard(SMALL_REST_BYTES, () => undefined);
      this.#writeWhole();
      response.end();
    }
  }

  destroy(): void {
    this.#isEnded = true;
    // Only a reset tells a client of HTTP/1.0 that a body which lasts until the close is not whole.
    if (this.isHeadSent && this.#isUntilClose) this.#connection.socket.resetAndDestroy();
    else this.#response.destroy();
  }

  closeAfter(): void {
    this.#isLast = true;
  }

  /**
   * The rest of the request is not HTTP. Who works on it stops; an answer that is whole still leaves.
   * @returns whether no answer was begun, so that there is room for a refusal
   */
  giveUpBody(): boolean {
    if (this.#isEnded) {
      this.#finish();
      return false;
    }
    this.#isEnded = true;
    this.#tellGone();
    if (this.isHeadSent) this.#connection.socket.destroy();
    return !this.isHeadSent;
  }

  #writeWhole(): void {
    if (this.#whole !== undefined) this.#response.write(this.#whole);
    this.#whole = undefined;
  }

  #finish = (): void => {
    if (this.#response.writableEnded || this.#response.destroyed) return;
    this.#connection.expectWithin(this.#flushTimeoutMs, () => this.#connection.socket.destroy());
    const whole = this.#whole;
    if (whole === undefined) this.#response.end();
    else this.#response.end(whole.toString("latin1"), "latin1");
  };

  #onClose = (): void => {
    if (!this.#response.writableFinished) this.#tellGone();
    this.#connection.answered();
  };

  #tellGone(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.listener?.clientGone();
  }

  #flushHead = (): void => {
    if (!this.#hasWritten && !this.#isEnded && !this.#response.destroyed)
      this.#response.flushHeaders();
  };
}

function toPairs(list: readonly string[]): [string, string][] {
  const pairs: [string, string][] = [];
  for (let at = 0; at + 1 < list.length; at += 2)
    pairs.push([list[at] as string, list[at + 1] as string]);
  return pairs;
}

// Only chunked bodies have trailers, and the platform refuses to announce them for others.
function withoutTrailerField(fields: readonly string[]): string[] {
  const isNamed = (at: number): boolean =>
    (fields[at - (at % 2)] as string).toLowerCase() === "trailer";
  for (let at = 0; at < fields.length; at += 2)
    if (isNamed(at)) return fields.filter((_, position) => !isNamed(position));
  return fields as string[];
}
