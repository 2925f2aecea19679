import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Clock, Deadline, Deadlines } from "@tidegate/clock";
import type { Peer } from "../judge/call.ts";
import type { Http1Answer } from "./http1-answer.ts";
import { writeRawAnswer } from "./raw-answer.ts";

/** A request as the parser gave it. */
export interface Turn {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Whether the client waits for 100 before it sends the body. */
  readonly mustContinue: boolean;
  /** Whether it asked for an upgrade that cannot be given. */
  readonly isRefusedUpgrade: boolean;
}

export interface ConnectionOwner {
  readonly isDraining: boolean;
  /** It is this request's turn. @returns how it is being answered */
  serve(connection: Http1Connection, turn: Turn): void;
  /** From now on an answer is owed. */
  began(): void;
  /** Nothing is owed any more, or nobody is there to take it. */
  idled(): void;
  closed(connection: Http1Connection): void;
}

/** Requests that may wait behind a running one (pipelining); more is a flood, and ends the connection. */
const MAX_PIPELINED = 32;

/** How long, and for how many bytes, we go on reading after a last answer, so that the client gets to see it. */
export const LINGER_MS = 1_000;
export const LINGER_BYTES = 1_048_576;

/**
 * One client connection: requests are served one at a time, in the order they came. RFC 9112 §9.3.2 asks that of
 * unsafe methods; for all of them it means that nothing behind a request that ends the connection is ever looked
 * at (request smuggling), and that one connection cannot have many requests running upstream.
 */
export class Http1Connection {
  readonly peer: Peer;
  readonly socket: Socket;
  readonly #owner: ConnectionOwner;
  readonly #clock: Clock;
  readonly #deadlines: Deadlines;
  readonly #deadline: Deadline = { dueMs: Number.POSITIVE_INFINITY, expire: () => this.#late() };
  /** Set by the one who serves, as soon as there is an answer to write. */
  #answer: Http1Answer | undefined;
  #running: Turn | undefined;
  /** The request that the parser gave last; its body may still be arriving. */
  #latest: IncomingMessage | undefined;
  /** Bounded by `MAX_PIPELINED`. */
  readonly #waiting: Turn[] = [];
  /** A refusal that must not overtake the answers still owed. */
  #lastWord: (() => void) | undefined;
  /** Set with the last answer: whatever comes behind it is not ours to read. */
  #isClosing = false;
  #lingerFromBytes = 0;
  #whenLate: () => void = () => undefined;

  constructor(
    socket: Socket,
    {
      peer,
      owner,
      clock,
      deadlines,
    }: { peer: Peer; owner: ConnectionOwner; clock: Clock; deadlines: Deadlines },
  ) {
    this.socket = socket;
    this.peer = peer;
    this.#owner = owner;
    this.#clock = clock;
    this.#deadlines = deadlines;
    deadlines.add(this.#deadline);
    // The platform takes its own listeners away when a connection is upgraded or broken; a reset after that
    // must not end the process.
    socket.on("error", () => undefined);
    socket.once("close", () => this.#closed());
  }

  /** Whether this answer must be the connection's last. */
  get endsAfterAnswer(): boolean {
    return this.#isClosing || this.#owner.isDraining;
  }

  /** Whether the connection is free to become something else. */
  get isFree(): boolean {
    return this.#running === undefined && !this.endsAfterAnswer;
  }

  /** A request's head is there. */
  take(turn: Turn): void {
    this.#latest = turn.request;
    if (this.#isClosing || this.#lastWord !== undefined) return;
    if (this.#running === undefined) {
      this.#owner.began();
      this.#serve(turn);
    } else if (this.#waiting.length < MAX_PIPELINED) {
      this.#waiting.push(turn);
    } else {
      this.#isClosing = true;
      this.socket.destroy();
    }
  }

  /** Who answers the running request. */
  answering(answer: Http1Answer): void {
    this.#answer = answer;
  }

  /** The head of a last answer is about to leave. */
  close(): void {
    this.#isClosing = true;
    this.#waiting.length = 0;
  }

  /** The running answer has left, or never will. */
  answered(): void {
    this.#running = undefined;
    this.#answer = undefined;
    if (this.socket.destroyed || this.#isClosing) {
      this.#waiting.length = 0;
      this.#owner.idled();
      return;
    }
    if (this.#latest?.complete !== false) this.#deadline.dueMs = Number.POSITIVE_INFINITY;
    const next = this.#waiting.shift();
    if (next !== undefined) {
      this.#serve(next);
      return;
    }
    this.#owner.idled();
    this.#lastWord?.();
  }

  /** Calls `late` unless the connection got on within `waitMs`. */
  expectWithin(waitMs: number, late: () => void): void {
    this.#whenLate = late;
    this.#deadline.dueMs = this.#clock.monotonicMs() + waitMs;
  }

  /**
   * The parser cannot go on: the bytes behind the last good request are not HTTP.
   * @param refuse answers by `refuseRaw`; called once all that is owed has been answered, if there is room for it
   */
  broken(refuse: () => void): void {
    const isInBody = this.#latest !== undefined && !this.#latest.complete;
    if (isInBody && this.#running?.request === this.#latest) {
      // The body of the running request: it must not pass for whole.
      if (this.#answer?.giveUpBody() === true) refuse();
      return;
    }
    if (this.#isClosing || this.#lastWord !== undefined) {
      if (this.socket.bytesRead > this.#lingerFromBytes + LINGER_BYTES) this.socket.destroy();
      return;
    }
    if (isInBody) this.#waiting.pop();
    if (this.#running === undefined) {
      refuse();
      return;
    }
    this.#lingerFromBytes = this.socket.bytesRead;
    this.#lastWord = () => {
      if (this.socket.writableEnded) this.socket.destroy();
      else refuse();
    };
  }

  /** Answers without the parser's help and ends the connection. */
  refuseRaw(status: number, fields: readonly string[], body: string): void {
    this.#isClosing = true;
    this.#lingerFromBytes = this.socket.bytesRead;
    this.expectWithin(LINGER_MS, () => this.socket.destroy());
    writeRawAnswer(this.socket, status, { fields, body });
    // What the client still sends is read and forgotten: a reset would destroy our answer in its kernel.
    this.socket.resume();
  }

  #serve(turn: Turn): void {
    this.#running = turn;
    this.#deadline.dueMs = Number.POSITIVE_INFINITY;
    this.#owner.serve(this, turn);
  }

  #late(): void {
    this.#whenLate();
  }

  #closed(): void {
    this.#deadlines.delete(this.#deadline);
    this.#waiting.length = 0;
    this.#owner.closed(this);
  }
}
