import type { IncomingMessage, ServerResponse } from "node:http";
import type { AnswerListener, AnswerWriter } from "./exchange.ts";
import type { Http1Body } from "./http1-body.ts";

/** Bytes of an unwanted upload that are read and forgotten so that the client sees our refusal. */
const LINGER_BYTES = 1_048_576;

/** Writes an answer of HTTP/1 through the platform's response, which keeps pipelined answers in order. */
export class Http1Answer implements AnswerWriter {
  isHeadSent = false;
  #listener: AnswerListener | undefined;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #body: Http1Body;
  #hasBody = true;
  #closes = false;
  #isEnded = false;
  #hasWritten = false;

  constructor(request: IncomingMessage, response: ServerResponse, body: Http1Body) {
    this.#request = request;
    this.#response = response;
    this.#body = body;
  }

  get listener(): AnswerListener | undefined {
    return this.#listener;
  }

  set listener(listener: AnswerListener | undefined) {
    if (this.#listener === undefined && listener !== undefined) {
      this.#response.on("drain", () => this.#listener?.clientDrained());
      this.#response.on("close", () => {
        if (!this.#response.writableFinished) this.#listener?.clientGone();
      });
    }
    this.#listener = listener;
  }

  inform(status: number, fields: readonly string[]): void {
    if (this.#request.httpVersionMinor === 0 || this.isHeadSent) return;
    if (status === 100) {
      this.#response.writeContinue();
      return;
    }
    const byName: Record<string, string[]> = {};
    for (let at = 0; at + 1 < fields.length; at += 2)
      (byName[(fields[at] as string).toLowerCase()] ??= []).push(fields[at + 1] as string);
    if (status === 102) this.#response.writeProcessing();
    if (status !== 103 || byName["link"] === undefined) return;
    try {
      this.#response.writeEarlyHints({ ...byName, link: byName["link"] });
    } catch {
      // A Link the platform does not take for one: hints are only hints, the answer itself still comes.
    }
  }

  head(status: number, fields: readonly string[], bodyBytes: number): void {
    this.isHeadSent = true;
    const isBodiless = this.#request.method === "HEAD" || status === 204 || status === 304;
    this.#hasBody = !isBodiless && bodyBytes !== 0;
    const isChunked = this.#hasBody && bodyBytes < 0 && this.#request.httpVersionMinor > 0;
    const list = isChunked ? (fields as string[]) : withoutTrailerField(fields);
    if (bodyBytes >= 0 && status !== 204) list.push("Content-Length", String(bodyBytes));
    if (this.#closes) list.push("Connection", "close");
    this.#response.writeHead(status, list);
    // The head usually leaves together with the body's first bytes; when none came in the same turn it must
    // not wait for them (server-sent events, long polls).
    if (this.#hasBody) queueMicrotask(this.#flushHead);
  }

  write(bytes: Buffer): boolean {
    this.#hasWritten = true;
    return this.#hasBody ? this.#response.write(bytes) : true;
  }

  end(trailers: readonly string[]): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    if (trailers.length > 0 && this.#response.chunkedEncoding) {
      const pairs: [string, string][] = [];
      for (let at = 0; at + 1 < trailers.length; at += 2)
        pairs.push([trailers[at] as string, trailers[at + 1] as string]);
      this.#response.addTrailers(pairs);
    }
    if (!this.#closes || this.#body.isDone) {
      this.#response.end();
      return;
    }
    this.#response.flushHeaders();
    this.#body.discard(LINGER_BYTES, () => this.#response.end());
  }

  destroy(): void {
    this.#isEnded = true;
    this.#response.destroy();
  }

  closeAfter(): void {
    this.#closes = true;
  }

  #flushHead = (): void => {
    if (!this.#hasWritten && !this.#isEnded) this.#response.flushHeaders();
  };
}

// Only chunked bodies have trailers, and the platform refuses to announce them for others.
function withoutTrailerField(fields: readonly string[]): string[] {
  const isNamed = (at: number): boolean => (fields[at - (at % 2)] as string).toLowerCase() === "trailer";
  for (let at = 0; at < fields.length; at += 2)
    if (isNamed(at)) return fields.filter((_, position) => !isNamed(position));
  return fields as string[];
}
