import { readFieldLine } from "../accept/field-line.ts";
import { AnswerHeadReader, type AnswerHead } from "./answer-head.ts";

/**
 * Reads the answers of an upstream from bytes, strictly: whatever two parsers could read differently is an
 * error, because the bytes that follow would then belong to somebody else's answer (response smuggling).
 * RFC 9112. It never copies a body: chunks are views into what the socket delivered.
 */
export interface AnswerListener {
  /** 1xx other than 101. */
  informed(status: number, fields: readonly string[]): void;
  /** @param bodyBytes length, or -1 when chunked or until close */
  head(answer: AnswerHead): void;
  /** @param bytes a view of what was given to `parse` */
  chunk(bytes: Buffer): void;
  /** The answer is whole. @param isReusable whether another request may follow on this connection */
  ended(trailers: string[], isReusable: boolean): void;
}

const STATE = {
  idle: 0,
  head: 1,
  sized: 2,
  untilClose: 3,
  chunkSize: 4,
  chunkData: 5,
  chunkEnd: 6,
  trailers: 7,
  done: 8,
} as const;
type State = (typeof STATE)[keyof typeof STATE];

/** Longest chunk-size line; extensions are read over and forgotten (RFC 9112 §7.1.1). */
const MAX_CHUNK_LINE_BYTES = 1_024;
/** Trailers together. */
const MAX_TRAILER_BYTES = 16_384;
/** A server that sends 1xx for ever never answers. */
const MAX_INFORMATIONAL = 16;

export class AnswerParser {
  readonly #maxHeaderBytes: number;
  readonly #heads = new AnswerHeadReader();
  #listener: AnswerListener | undefined;
  #state: State = STATE.idle;
  #isHeadRequest = false;
  #leftBytes = 0;
  #isReusable = false;
  #informational = 0;
  /** Bytes of an unfinished head, chunk-size line or trailer section; bounded by the limit of each. */
  #pending: Buffer | undefined;
  #trailers: string[] = [];
  #trailerBytes = 0;

  constructor(maxHeaderBytes: number) {
    this.#maxHeaderBytes = maxHeaderBytes;
  }

  /** Expects one answer. */
  begin(listener: AnswerListener, isHeadRequest: boolean): void {
    this.#listener = listener;
    this.#isHeadRequest = isHeadRequest;
    this.#state = STATE.head;
    this.#informational = 0;
    this.#trailers = [];
    this.#trailerBytes = 0;
    this.#pending = undefined;
  }

  /** Whether an answer has ended and nothing more may come. */
  get isIdle(): boolean {
    return this.#state === STATE.idle || this.#state === STATE.done;
  }

  /** @returns what is wrong, in words, or undefined. After an error nothing more may be parsed. */
  parse(chunk: Buffer): string | undefined {
    let at = 0;
    while (at < chunk.length) {
      switch (this.#state) {
        case STATE.head: {
          const end = this.#findSection(chunk, at, this.#maxHeaderBytes);
          if (typeof end === "string") return end;
          if (end < 0) return undefined;
          const flaw = this.#takeHead(this.#section(chunk, at, end), chunk.length - end);
          if (flaw !== undefined) return flaw;
          at = end;
          break;
        }
        case STATE.sized: {
          const left = chunk.length - at;
          // Looked at before the last byte is passed on: a body longer than declared must not look whole.
          if (left > this.#leftBytes) return "The body is longer than declared";
          this.#leftBytes -= left;
          this.#listener?.chunk(at === 0 ? chunk : chunk.subarray(at));
          at = chunk.length;
          if (this.#leftBytes === 0) this.#finish();
          break;
        }
        case STATE.untilClose:
          this.#listener?.chunk(at === 0 ? chunk : chunk.subarray(at));
          at = chunk.length;
          break;
        case STATE.chunkSize: {
          const end = this.#findLine(chunk, at, MAX_CHUNK_LINE_BYTES);
          if (typeof end === "string") return end;
          if (end < 0) return undefined;
          const flaw = this.#takeChunkSize(this.#section(chunk, at, end));
          if (flaw !== undefined) return flaw;
          at = end;
          break;
        }
        case STATE.chunkData: {
          const take = Math.min(chunk.length - at, this.#leftBytes);
          this.#leftBytes -= take;
          this.#listener?.chunk(chunk.subarray(at, at + take));
          at += take;
          if (this.#leftBytes === 0) this.#state = STATE.chunkEnd;
          break;
        }
        case STATE.chunkEnd: {
          const end = this.#findLine(chunk, at, 2);
          if (typeof end === "string") return "A chunk does not end where its size says";
          if (end < 0) return undefined;
          if (this.#section(chunk, at, end) !== "\r\n")
            return "A chunk does not end where its size says";
          at = end;
          this.#state = STATE.chunkSize;
          break;
        }
        case STATE.trailers: {
          const end = this.#findLine(chunk, at, MAX_TRAILER_BYTES - this.#trailerBytes);
          if (typeof end === "string") return end;
          if (end < 0) return undefined;
          const line = this.#section(chunk, at, end);
          this.#trailerBytes += line.length;
          const flaw = this.#takeTrailer(line, chunk.length - end);
          if (flaw !== undefined) return flaw;
          at = end;
          break;
        }
        case STATE.idle:
        case STATE.done:
          return "Bytes came that no request asked for";
      }
    }
    return undefined;
  }

  /** The connection ended. @returns what is wrong with that, or undefined when the answer was whole */
  end(): string | undefined {
    if (this.#state === STATE.untilClose) {
      this.#isReusable = false;
      this.#finish();
      return undefined;
    }
    if (this.isIdle) return undefined;
    return this.#state === STATE.head
      ? "The connection ended before the answer"
      : "The connection ended inside the body";
  }

  // Where a section that ends with an empty line ends; -1 when it is not whole yet (its bytes are then kept).
  #findSection(chunk: Buffer, at: number, maxBytes: number): number | string {
    const kept = this.#pending;
    if (kept === undefined) {
      const blank = chunk.indexOf("\r\n\r\n", at, "latin1");
      if (blank >= 0) return blank + 4 - at > maxBytes ? "The fields are too large" : blank + 4;
      return this.#keep(chunk, at, maxBytes);
    }
    // The empty line may straddle the chunks: look again from its first possible byte.
    const joined = Buffer.concat([kept, chunk.subarray(at)]);
    const blank = joined.indexOf("\r\n\r\n", Math.max(0, kept.length - 3), "latin1");
    if (blank < 0) return this.#keep(chunk, at, maxBytes);
    if (blank + 4 > maxBytes) return "The fields are too large";
    return at + blank + 4 - kept.length;
  }

  #findLine(chunk: Buffer, at: number, maxBytes: number): number | string {
    const keptBytes = this.#pending?.length ?? 0;
    const feed = chunk.indexOf(10, at);
    if (feed < 0) return this.#keep(chunk, at, maxBytes);
    return keptBytes + feed + 1 - at > maxBytes ? "A line is too long" : feed + 1;
  }

  #keep(chunk: Buffer, at: number, maxBytes: number): number | string {
    const rest = chunk.subarray(at);
    const keptBytes = this.#pending?.length ?? 0;
    if (keptBytes + rest.length > maxBytes) return "The fields are too large";
    this.#pending =
      this.#pending === undefined ? Buffer.from(rest) : Buffer.concat([this.#pending, rest]);
    return -1;
  }

  #section(chunk: Buffer, at: number, end: number): string {
    const kept = this.#pending;
    if (kept === undefined) return chunk.toString("latin1", at, end);
    this.#pending = undefined;
    return kept.toString("latin1") + chunk.toString("latin1", at, end);
  }

  #takeHead(text: string, bytesBehind: number): string | undefined {
    const head = this.#heads.read(text);
    if (typeof head === "string") return head;
    const { status, bodyBytes, isUpgrade } = head;
    if (status < 200 && !isUpgrade) {
      if (++this.#informational > MAX_INFORMATIONAL) return "Too many informational answers";
      this.#listener?.informed(status, head.fields);
      return undefined;
    }
    const isBodiless = this.#isHeadRequest || status === 204 || status === 304 || isUpgrade;
    const isUntilClose = !head.isChunked && bodyBytes < 0;
    this.#isReusable = head.keepsConnection && (isBodiless || !isUntilClose);
    this.#listener?.head(head);
    if (isBodiless || bodyBytes === 0) {
      // Told after the head, before the end: the client's connection is cut and nothing looks whole.
      if (bytesBehind > 0 && !isUpgrade) return "A body came where none may be";
      this.#finish();
    } else if (head.isChunked) {
      this.#state = STATE.chunkSize;
    } else if (isUntilClose) {
      this.#state = STATE.untilClose;
    } else {
      this.#state = STATE.sized;
      this.#leftBytes = bodyBytes;
    }
    return undefined;
  }

  #takeChunkSize(line: string): string | undefined {
    // 13 hexadecimal digits stay below 2^53.
    const size = /^([0-9A-Fa-f]{1,13})(?:;[\t\x20-\x7e\x80-\xff]*)?\r\n$/.exec(line);
    if (size === null) return "A chunk has no valid size";
    this.#leftBytes = Number.parseInt(size[1] as string, 16);
    this.#state = this.#leftBytes === 0 ? STATE.trailers : STATE.chunkData;
    return undefined;
  }

  #takeTrailer(line: string, bytesBehind: number): string | undefined {
    if (line === "\r\n") {
      if (bytesBehind > 0) return "The body is longer than declared";
      this.#finish();
      return undefined;
    }
    if (this.#trailers.length >= MAX_TRAILERS * 2) return "Too many trailers";
    const read = line.endsWith("\r\n")
      ? readFieldLine(line.slice(0, -2))
      : "A line ends without CR";
    if (typeof read === "string") return read;
    this.#trailers.push(read.name, read.value);
    return undefined;
  }

  #finish(): void {
    this.#state = STATE.done;
    this.#listener?.ended(this.#trailers, this.#isReusable);
  }
}

const MAX_TRAILERS = 64;
