// Longer than 400 lines: one state machine, whose order of events is read in one place or not understood.

import { Readable } from "node:stream";
import type { Socket } from "node:net";
import type { Clock, Deadline, Deadlines } from "@tidegate/clock";
import type { Peer } from "../judge/call.ts";
import { REASON } from "../judge/reason.ts";
import { readClientAsStream, readClientTo } from "./client-reader.ts";
import { writeRawAnswer } from "./raw-answer.ts";
import { readBuffer } from "./read-buffer.ts";
import type { Flaw } from "./request-line.ts";
import { RequestParser, STEP, type ParsedHead } from "./request-parser.ts";
import type { ConnectionOwner, Turn } from "./turn.ts";
import { LINGER_BYTES, LINGER_MS, type AnswerSink, type Http1Answer } from "./http1-answer.ts";
import { NO_BODY, type BodySource, type Http1Body } from "./http1-body.ts";

/** Requests that may wait behind a running one (pipelining); more is a flood, and ends the connection. */
const MAX_PIPELINED = 32;
/** What is held of a body that is not taken yet. Beyond it nothing is read, so at most one more read is added. */
const MAX_HELD_BYTES = 65_536;

/**
 * One client connection: requests are served one at a time, in the order they came. RFC 9112 §9.3.2 asks that of
 * unsafe methods; for all of them it means that nothing behind a request that ends the connection is ever looked
 * at (request smuggling), and that one connection cannot have many requests running upstream.
 */
export class Http1Connection implements AnswerSink, BodySource {
  readonly peer: Peer;
  readonly socket: Socket;
  readonly #owner: ConnectionOwner;
  readonly #clock: Clock;
  readonly #deadlines: Deadlines;
  readonly #deadline: Deadline = { dueMs: Number.POSITIVE_INFINITY, expire: () => this.#late() };
  readonly #parser: RequestParser;
  /** The running request's; undefined when nothing runs. */
  #answer: Http1Answer | undefined;
  #isBusy = false;
  /** The body that the parser is in, once its request has its turn. */
  #body: Http1Body = NO_BODY;
  /** Heads behind the running request, read ahead. Bounded by `MAX_PIPELINED`; only the last may have a body. */
  readonly #waiting: Turn[] = [];
  /** Bytes that cannot be read on yet; see `MAX_HELD_BYTES`. */
  #held: Buffer | undefined;
  /** Whether the bytes in hand are the thread's read buffer: others stand there after this turn. */
  #isLent = false;
  /** Inside `#advance`, which goes on by itself when an answer ends at once. */
  #isAdvancing = false;
  /** A refusal that must not overtake the answers still owed. */
  #lastFlaw: Flaw | undefined;
  /** Set with the last answer: whatever comes behind it is not ours to read. */
  #isClosing = false;
  /** Set when our side has ended: what comes is read and forgotten, because a reset would destroy our answer in the client's kernel. */
  #isLingering = false;
  #lingeredBytes = 0;
  #hasEnded = false;
  #isUpgraded = false;
  /** Whether the running head has its deadline. */
  #isHeadTimed = true;
  #whenLate: (() => void) | undefined;

  constructor(
    socket: Socket,
    parts: { peer: Peer; owner: ConnectionOwner; clock: Clock; deadlines: Deadlines },
  ) {
    this.socket = socket;
    this.peer = parts.peer;
    this.#owner = parts.owner;
    this.#clock = parts.clock;
    this.#deadlines = parts.deadlines;
    this.#parser = new RequestParser(parts.owner.maxHeaderBytes);
    this.#deadline.dueMs = parts.clock.monotonicMs() + parts.owner.headerTimeoutMs;
    parts.deadlines.add(this.#deadline);
    this.#listen();
    // A reset must not end the process; `close` follows.
    socket.on("error", () => undefined);
    socket.once("close", () => this.#closed());
  }

  get isGone(): boolean {
    return this.socket.destroyed;
  }

  get isSlow(): boolean {
    return this.socket.writableNeedDrain;
  }

  get endsAfterAnswer(): boolean {
    return this.#isClosing || this.#owner.isDraining;
  }

  /** Whether the connection is free to become something else. */
  get isFree(): boolean {
    return !this.#isBusy && !this.endsAfterAnswer;
  }

  /** Whether no request is running, nor has one begun to arrive. */
  get isSilent(): boolean {
    return !this.#isBusy && !this.#isUpgraded && !this.#isLingering && !this.#parser.isInHead;
  }

  get tailOfKept(): string {
    return this.#owner.tailOfKept;
  }

  readonly tailOfLast = "Connection: close\r\n\r\n";

  dateLine(): string {
    return this.#owner.dateLine();
  }

  /** Who answers the running request, and who takes its body. */
  answering(answer: Http1Answer, body: Http1Body): void {
    this.#answer = answer;
    this.#body = body;
  }

  writeText(text: string): boolean {
    return this.socket.write(text, "latin1");
  }

  writeAround(before: string, bytes: Buffer, after: string): boolean {
    const { socket } = this;
    // What a slow client does not take at once waits here, and what is lent does not.
    const own = Buffer.from(bytes);
    if (before === "" && after === "") return socket.write(own);
    socket.cork();
    if (before !== "") socket.write(before, "latin1");
    let isTaken = socket.write(own);
    if (after !== "") isTaken = socket.write(after, "latin1");
    socket.uncork();
    return isTaken;
  }

  close(): void {
    this.#isClosing = true;
    this.#waiting.length = 0;
  }

  destroy(): void {
    this.socket.destroy();
  }

  reset(): void {
    this.socket.resetAndDestroy();
  }

  expectWithin(waitMs: number, late: () => void): void {
    this.#whenLate = late;
    this.#deadline.dueMs = this.#clock.monotonicMs() + waitMs;
  }

  finished(isLast: boolean): void {
    if (isLast) {
      this.#linger();
      const waitMs = this.socket.writableLength === 0 ? LINGER_MS : this.#owner.idleTimeoutMs;
      this.expectWithin(waitMs, () => this.socket.destroy());
      this.socket.end(() => {
        this.expectWithin(LINGER_MS, () => this.socket.destroy());
        this.#answered();
      });
    } else if (this.socket.writableLength === 0) {
      this.#answered();
    } else {
      // A slow reader: how long a finished answer may take to leave.
      this.expectWithin(this.#owner.idleTimeoutMs, () => this.socket.destroy());
      this.socket.write("", this.#answered);
    }
  }

  sayContinue(): void {
    this.socket.write("HTTP/1.1 100 Continue\r\n\r\n", "latin1");
  }

  bodyTaken(): void {
    this.#advance();
  }

  /** Answers outside any turn and ends the connection. */
  refuseRaw(status: number, fields: readonly string[], body: string): void {
    this.#isClosing = true;
    if (this.#isUpgraded) this.#listen();
    this.#isUpgraded = false;
    this.#linger();
    this.expectWithin(LINGER_MS, () => this.socket.destroy());
    writeRawAnswer(this.socket, status, { fields, body });
  }

  #listen(): void {
    const early = readClientTo(this.socket, this.#taken);
    // Whoever makes the connection must first know it; nothing else is read before that.
    if (early.length > 0) queueMicrotask(() => this.#received(early));
    this.socket.on("end", this.#ended);
    this.socket.on("drain", this.#drained);
  }

  #taken = (bytes: Buffer, byteCount: number): void => {
    this.#isLent = bytes === readBuffer;
    this.#received(byteCount === bytes.length ? bytes : bytes.subarray(0, byteCount));
    this.#isLent = false;
  };

  #received(chunk: Buffer): void {
    if (this.#isLingering) {
      this.#lingeredBytes += chunk.length;
      if (this.#lingeredBytes > LINGER_BYTES) this.socket.destroy();
      return;
    }
    if (this.#held !== undefined || this.#isAdvancing) {
      this.#hold(chunk);
      return;
    }
    this.#isAdvancing = true;
    this.#read(chunk);
    this.#isAdvancing = false;
    this.#isLent = false;
    if (this.#held === undefined && this.#waiting.length === 0) this.#settle();
    else this.#advance();
  }

  /** Goes on with what is held and who waits, until nothing more can be done now. */
  #advance(): void {
    if (this.#isAdvancing) return;
    this.#isAdvancing = true;
    for (;;) {
      if (this.#startNext()) continue;
      const held = this.#held;
      if (held === undefined || !this.#mayRead()) break;
      this.#held = undefined;
      this.#read(held);
    }
    this.#isAdvancing = false;
    if (this.socket.isPaused() && !this.#isUpgraded && this.#wantsBytes()) this.socket.resume();
    this.#settle();
  }

  /** @returns whether a waiting request was begun */
  #startNext(): boolean {
    if (this.#isBusy || this.#isClosing) return false;
    const next = this.#waiting.shift();
    if (next === undefined) return false;
    this.#serve(next);
    return true;
  }

  /** What follows from where the bytes ended: the deadline of a head, or of silence, or the refusal that waited. */
  #settle(): void {
    if (this.#isBusy || this.#isClosing || this.#isUpgraded || this.socket.destroyed) return;
    const flaw = this.#lastFlaw;
    if (flaw !== undefined) {
      this.#lastFlaw = undefined;
      this.#owner.refuseFlaw(this, flaw);
      return;
    }
    if (this.#owner.isDraining && !this.#parser.isInHead && !this.#parser.isInBody) {
      this.socket.end();
      return;
    }
    const isInHead = this.#parser.isInHead;
    if (this.#isHeadTimed && isInHead) return;
    this.#isHeadTimed = isInHead;
    const { headerTimeoutMs, idleTimeoutMs } = this.#owner;
    this.#whenLate = undefined;
    this.#deadline.dueMs = this.#clock.monotonicMs() + (isInHead ? headerTimeoutMs : idleTimeoutMs);
  }

  #mayRead(): boolean {
    if (this.#isUpgraded || this.socket.destroyed) return false;
    return this.#parser.isInBody ? this.#body.isTaken : true;
  }

  #wantsBytes(): boolean {
    return this.#held === undefined || this.#held.length <= MAX_HELD_BYTES
      ? !this.#parser.isInBody || !this.#body.isPaused
      : false;
  }

  /** Bytes that may be kept. */
  #owned(bytes: Buffer): Buffer {
    return this.#isLent ? Buffer.from(bytes) : bytes;
  }

  #hold(bytes: Buffer): void {
    this.#held = this.#held === undefined ? this.#owned(bytes) : Buffer.concat([this.#held, bytes]);
    if (this.#held.length > MAX_HELD_BYTES) this.socket.pause();
  }

  /** Reads until the bytes end, or until they cannot be read on now, and holds the rest. */
  #read(bytes: Buffer): void {
    const parser = this.#parser;
    let at = 0;
    while (at < bytes.length) {
      if (!parser.isInBody && (this.#isClosing || this.#lastFlaw !== undefined)) return;
      if (!this.#mayRead()) {
        this.#hold(at === 0 ? bytes : bytes.subarray(at));
        return;
      }
      const step = parser.step(bytes, at);
      at = parser.at;
      switch (step) {
        case STEP.head:
          this.#takeHead(parser.head as ParsedHead, bytes, at);
          break;
        case STEP.chunk: {
          const { chunkStart, chunkEnd } = parser;
          const isAll = chunkStart === 0 && chunkEnd === bytes.length;
          // What a slow upstream does not take at once waits for it.
          this.#body.received(this.#owned(isAll ? bytes : bytes.subarray(chunkStart, chunkEnd)));
          if (parser.isBodyWhole) {
            parser.finish();
            this.#bodyEnded();
          }
          break;
        }
        case STEP.ended:
          this.#bodyEnded();
          break;
        case STEP.flaw:
          this.#broken(parser.flaw);
          return;
        default:
      }
    }
  }

  #bodyEnded(): void {
    const body = this.#body;
    this.#body = NO_BODY;
    body.ended(this.#parser.trailers);
  }

  #takeHead(head: ParsedHead, bytes: Buffer, at: number): void {
    let isRefusedUpgrade = false;
    if (head.upgrade !== undefined || head.method === "CONNECT") {
      if (this.#owner.upgrades(this, head, this.#owned(bytes.subarray(at)))) return;
      isRefusedUpgrade = true;
    }
    const turn: Turn = { head, isRefusedUpgrade };
    if (!this.#isBusy) {
      this.#serve(turn);
    } else if (this.#waiting.length < MAX_PIPELINED) {
      this.#waiting.push(turn);
    } else {
      this.#isClosing = true;
      this.socket.destroy();
    }
  }

  #serve(turn: Turn): void {
    this.#isBusy = true;
    this.#isHeadTimed = false;
    this.#deadline.dueMs = Number.POSITIVE_INFINITY;
    this.#owner.began();
    this.#owner.serve(this, turn);
  }

  /** The running answer has left, or never will. */
  #answered = (): void => {
    if (!this.#isBusy) return;
    this.#isBusy = false;
    this.#answer = undefined;
    this.#owner.idled();
    if (this.#hasEnded) this.socket.destroy();
    else if (!this.#isClosing && !this.socket.destroyed) this.#advance();
  };

  /** The parser cannot go on: the bytes behind the last good request are not HTTP. */
  #broken(flaw: Flaw): void {
    this.#held = undefined;
    if (this.#body !== NO_BODY) {
      // The body of the running request: it must not pass for whole.
      this.#body = NO_BODY;
      if (this.#answer?.giveUpBody() !== true) return;
      this.#owner.refuseFlaw(this, flaw);
      this.#answered();
      return;
    }
    this.#lastFlaw = flaw;
  }

  #linger(): void {
    this.#isLingering = true;
    this.#held = undefined;
    this.socket.resume();
  }

  /** Hands the raw connection over. The owner calls it from within `upgrades`. */
  release(): void {
    this.#isUpgraded = true;
    this.#deadline.dueMs = Number.POSITIVE_INFINITY;
    const { socket } = this;
    readClientAsStream(socket);
    socket.off("end", this.#ended);
    socket.off("drain", this.#drained);
    // The stream pauses and the socket reads on until that is full: how else would we learn that the client left?
    Readable.prototype.pause.call(socket);
  }

  // A client that ends its side is taken to have left, as browsers leave; what runs for it is stopped.
  #ended = (): void => {
    this.#hasEnded = true;
    // An answer that is whole may still leave.
    if (this.#answer?.isFinished === true || (this.#isLingering && !this.socket.writableFinished)) {
      this.#isClosing = true;
      return;
    }
    this.socket.destroy();
  };

  #drained = (): void => {
    this.#answer?.drained();
  };

  #late(): void {
    const late = this.#whenLate;
    if (late !== undefined) {
      late();
    } else if (this.#parser.isInHead) {
      this.#owner.refuseFlaw(this, HEAD_LATE);
    } else {
      this.socket.destroy();
    }
  }

  #closed(): void {
    this.#deadlines.delete(this.#deadline);
    this.#isClosing = true;
    this.#waiting.length = 0;
    this.#held = undefined;
    const body = this.#body;
    this.#body = NO_BODY;
    body.failed();
    this.#answer?.gone();
    if (this.#isBusy) {
      this.#isBusy = false;
      this.#owner.idled();
    }
    this.#owner.closed(this);
  }
}

const HEAD_LATE: Flaw = { reason: REASON.request_late, detail: "The request's head took too long" };
