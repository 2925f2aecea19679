import type { BodySink, RequestBody } from "./exchange.ts";

/** What a body asks of its connection. */
export interface BodySource {
  /** The client waits for leave to send its body. */
  sayContinue(): void;
  /** From now on, or again, the body is taken; what was held back comes first. */
  bodyTaken(): void;
}

/** A request's body. Knows whether it came whole, which decides what may be told upstream. */
export class Http1Body implements RequestBody {
  readonly declaredBytes: number;
  /** Written by this class, read by the slow-body watch. */
  receivedBytes = 0;
  isPaused = false;
  isDone: boolean;
  readonly #source: BodySource | undefined;
  #sink: BodySink | undefined;
  #mustContinue: boolean;

  constructor(source: BodySource | undefined, declaredBytes: number, mustContinue: boolean) {
    this.#source = source;
    this.declaredBytes = declaredBytes;
    this.#mustContinue = mustContinue;
    this.isDone = declaredBytes === 0;
  }

  /** Whether bytes may be delivered now. */
  get isTaken(): boolean {
    return this.#sink !== undefined && !this.isPaused;
  }

  start(sink: BodySink): void {
    if (this.isDone) {
      if (this.declaredBytes === 0) sink.bodyEnded([]);
      else sink.bodyFailed();
      return;
    }
    this.#sink = sink;
    if (this.#mustContinue) {
      this.#mustContinue = false;
      // RFC 9110 §10.1.1: who has begun to send needs no leave any more.
      if (this.receivedBytes === 0) this.#source?.sayContinue();
    }
    this.#source?.bodyTaken();
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
    if (this.isPaused || this.isDone) return;
    // The connection holds what comes meanwhile, up to its bound; so it learns when the client leaves.
    this.isPaused = true;
  }

  resume(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    if (!this.isDone) this.#source?.bodyTaken();
  }

  /**
   * Reads and forgets what is left, at most `maxBytes`, so that a client in the middle of an upload gets to
   * read our answer before the connection ends (a reset would destroy it in the client's kernel).
   * @param done called once, when the body has ended in whatever way or `maxBytes` came
   */
  discard(maxBytes: number, done: () => void): void {
    if (this.isDone) {
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
    this.isPaused = false;
    this.#source?.bodyTaken();
  }

  // The connection's side.

  received(bytes: Buffer): void {
    this.receivedBytes += bytes.length;
    this.#sink?.bodyChunk(bytes);
  }

  ended(trailers: readonly string[]): void {
    this.isDone = true;
    this.#sink?.bodyEnded(trailers);
  }

  /** The client went away or broke the framing. */
  failed(): void {
    if (this.isDone) return;
    this.isDone = true;
    this.#sink?.bodyFailed();
  }
}

/** The body of every request that has none. */
export const NO_BODY = new Http1Body(undefined, 0, false);
