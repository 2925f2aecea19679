import type { Socket } from "node:net";
import type { Peer } from "../judge/call.ts";
import type { RequestHead } from "./request-head.ts";

/**
 * The seam between a protocol and the road. Behind it a request is its head and two streams, so that
 * HTTP/1.1 and HTTP/2 serve the same road. Implementation for HTTP/1: `http1-listener.ts`.
 */
export interface Exchange {
  readonly head: RequestHead;
  readonly peer: Peer;
  readonly body: RequestBody;
  readonly answer: AnswerWriter;
}

/** Who takes the request's body. Called in order: `bodyChunk`*, then one of `bodyEnded` or `bodyFailed`. */
export interface BodySink {
  bodyChunk(bytes: Buffer): void;
  /** The body arrived whole. `trailers` is a flat list of names and values. */
  bodyEnded(trailers: readonly string[]): void;
  /** The client went away or broke the framing: what came so far must never pass for a whole body. */
  bodyFailed(): void;
}

export interface RequestBody {
  /** Bytes declared by Content-Length, 0 when there is no body, -1 when it is chunked. */
  readonly declaredBytes: number;
  /** Begins to deliver to `sink`; answers a pending `Expect: 100-continue` first. At most once. */
  start(sink: BodySink): void;
  pause(): void;
  resume(): void;
}

/** Who wants to know what becomes of the answer. */
export interface AnswerListener {
  /** The client takes bytes again after `write` said false. */
  clientDrained(): void;
  /** The client went away before the answer ended. Called at most once, and never after `end` has been flushed. */
  clientGone(): void;
}

/**
 * Writes one answer: `inform`*, `head`, `write`*, then `end`, or `destroy` at any time.
 * Field lists are flat: name, value, name, value.
 */
export interface AnswerWriter {
  /** At most one listener; set before anything that waits. */
  listener: AnswerListener | undefined;
  readonly isHeadSent: boolean;
  /** An informational answer (103 and the like; never 101). Skipped for HTTP/1.0 clients. */
  inform(status: number, fields: readonly string[]): void;
  /**
   * Sends status and fields. `bodyBytes`: the length of the body, -1 when it is not known (chunked, or until
   * close for HTTP/1.0), 0 for none. The body of an answer to HEAD and of 204 and 304 is never written;
   * `bodyBytes` then only says what Content-Length tells.
   */
  head(status: number, fields: readonly string[], bodyBytes: number): void;
  /** @param bytes lent, until the call has returned @returns false when the client is slow: stop until `clientDrained` */
  write(bytes: Buffer): boolean;
  end(trailers: readonly string[]): void;
  /** Cuts the connection, so that the client cannot take a part for the whole. */
  destroy(): void;
  /** The connection ends after this answer. Only before `head`. */
  closeAfter(): void;
}

/** A request to become a WebSocket, whose shape was found good. */
export interface UpgradeExchange {
  readonly head: RequestHead;
  readonly peer: Peer;
  /** The raw connection, paused. Whoever accepts owns it. */
  readonly socket: Socket;
  /** Bytes the client sent behind the handshake's head. */
  readonly early: Buffer;
  /** Refuses with an ordinary answer and closes. */
  refuse(status: number, fields: readonly string[], body: string): void;
}
