import type { IncomingMessage, ServerResponse } from "node:http";
import type { BodySink, RequestBody } from "./exchange.ts";

/** A request body of HTTP/1. Knows whether the body came whole, which decides what may be told upstream. */
export class Http1Body implements RequestBody {
  readonly declaredBytes: number;
  /** Written by this class, read by the slow-body watch. */
  receivedBytes = 0;
  isPaused = false;
  isDone: boolean;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  #sink: BodySink | undefined;
  #mustContinue: boolean;
  #isStarted = false;

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    { declaredBytes, mustContinue }: { declaredBytes: number; mustContinue: boolean },
  ) {
    this.#request = request;
    this.#response = response;
    this.declaredBytes = declaredBytes;
    this.#mustContinue = mustContinue;
    this.isDone = declaredBytes === 0;
  }

  start(sink: BodySink): void {
    this.#sink = sink;
    if (this.declaredBytes === 0) {
      sink.bodyEnded([]);
      return;
    }
    this.#listen();
    if (this.#mustContinue) {
      this.#mustContinue = false;
      this.#response.writeContinue();
    }
  }

  /** Whether the client waits for a 100 that was not sent; it may then never send the body. */
  get awaitsContinue(): boolean {
    return this.#mustContinue;
  }

  /** Whether what is still to come is known, and no more than `bytes`. */
  endsWithin(bytes: number): boolean {
    return (
      this.declaredBytes >= 0 &&
      !this.#mustContinue &&
      this.declaredBytes - this.receivedBytes <= bytes
    );
  }

  pause(): void {
    this.isPaused = true;
    this.#request.pause();
  }

  resume(): void {
    this.isPaused = false;
    this.#request.resume();
  }

  /**
   * Reads and forgets what is left, at most `maxBytes`, so that a client in the middle of an upload gets to
   * read our answer before the connection ends (a reset would destroy it in the client's kernel).
   * @param done called once, when the body has ended in whatever way or `maxBytes` came
   */
  discard(maxBytes: number, done: () => void): void {
    if (this.isDone || this.#request.destroyed) {
      done();
      return;
    }
    let leftBytes = maxBytes;
    let isOver = false;
    const finish = (): void => {
      if (isOver) return;
      isOver = true;
      done();
    };
    this.#sink = {
      bodyChunk(bytes) {
        leftBytes -= bytes.length;
        if (leftBytes <= 0) finish();
      },
      bodyEnded: finish,
      bodyFailed: finish,
    };
    if (!this.#isStarted) this.#listen();
    this.resume();
  }

  #listen(): void {
    this.#isStarted = true;
    const request = this.#request;
    request.on("data", this.#onData);
    request.on("end", this.#onEnd);
    request.on("error", this.#onFail);
    request.on("close", this.#onFail);
  }

  #onData = (bytes: Buffer): void => {
    this.receivedBytes += bytes.length;
    this.#sink?.bodyChunk(bytes);
  };

  #onEnd = (): void => {
    if (this.isDone) return;
    // `end` also comes after an abort in some orders of events; only `complete` says the body is whole.
    if (!this.#request.complete) {
      this.#onFail();
      return;
    }
    this.isDone = true;
    this.#sink?.bodyEnded(this.#request.rawTrailers);
  };

  #onFail = (): void => {
    if (this.isDone) return;
    this.isDone = true;
    this.#sink?.bodyFailed();
  };
}
