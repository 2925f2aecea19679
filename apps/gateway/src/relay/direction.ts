// Longer than 400 lines: one state machine on the path of every message; its states share every field.

import type { Socket } from "node:net";
import {
  FRAME_VERDICT,
  FrameWalker,
  OPCODE,
  WALK,
  type FrameGuard,
  type FrameVerdict,
} from "@tidegate/wire";
import type { Call, Towards } from "../judge/call.ts";
import { judgeCall } from "../judge/judge-call.ts";
import { socketActionOf } from "../judge/limit-policy.ts";
import type { Policy, SocketAction } from "../judge/policy.ts";
import { createRefusal, refuseWith } from "../judge/refusal.ts";
import { REASON } from "../judge/reason.ts";
import { VERDICT, type Verdict } from "../judge/verdict.ts";
import type { SocketRules } from "../route/route.ts";
import { outbox } from "./outbox.ts";
import { Asking, PendingVerdict } from "./pending-verdict.ts";
import { SocketTally } from "./socket-tally.ts";

/** Indexes of the opcode classification, in the order of `SocketRules.classes`. */
const CLASS = { text: 0, binary: 1, control: 2 } as const;

/** What a direction asks of the relay that it is half of. */
export interface DirectionOwner {
  /**
   * A limit refused a message of the source's, and this is what would happen to it; `Direction.refusal` says which.
   * Called each time that a waiting one is refused again. @returns what does happen
   */
  overLimit(direction: Direction, action: SocketAction): SocketAction;
  /** A policy refused, and the answer is to end the socket. `Direction.refusal` says why. */
  refused(direction: Direction): void;
  /** `Direction.walker.violation` says why. */
  violated(direction: Direction): void;
  /** A close frame passed. Nothing that follows on this direction is looked at. */
  closed(direction: Direction): void;
  /** A frame must wait: call `Direction.proceed` after `waitMs`, or at once when `goOn` is asked for before. */
  delayed(direction: Direction, waitMs: number): void;
  /** What a frame waited for is there: call `Direction.proceed`. */
  goOn(direction: Direction): void;
  /** Whether this pong answers a ping of ours, and is therefore not for the upstream. */
  isOwnPong(payload: Buffer, payloadBytes: number): boolean;
}

/**
 * One half of a relay: takes bytes from `source`, judges every frame and writes what is admitted to `sink`. One
 * write per chunk: what was dropped is closed up inside the chunk, and `outbox` takes it from there. Nothing here allocates per message or awaits.
 */
export class Direction implements FrameGuard {
  readonly towards: Towards;
  readonly source: Socket;
  readonly sink: Socket;
  readonly walker: FrameWalker;
  readonly tally: SocketTally;
  /** One per direction: read by the owner right after it was told of a refusal. */
  readonly refusal = createRefusal();

  /** Monotonic time of the last chunk. Written here, read by the owner's sweep. */
  lastReadMs: number;
  /** Whether the source said that it will send no more. Written by the owner. */
  hasEnded = false;
  /** The sink takes nothing for now. */
  isBlocked = false;
  /** When that began, or when it last took something; for the bound on slow readers. */
  blockedSinceMs = 0;
  blockedBytes = 0;

  readonly #owner: DirectionOwner;
  readonly #call: Call;
  readonly #policies: readonly (readonly Policy[])[];
  readonly #counters: Float64Array;
  readonly #classCount: number;
  readonly #maxDelayMs: number;
  readonly #blockAtBytes: number;
  /** What policies that wait are given to see that nobody wants their answer any more. */
  readonly #asking = new Asking();

  /** What is left of a chunk from the frame on that is held: at most one chunk, at most 64 KiB, and our own. */
  #held: Buffer | undefined;
  #heldAt = 0;
  /** The bytes being walked; tells them from those that the walker kept. Valid during a walk. */
  #walked: Buffer | undefined;
  /** When the held frame must have passed; 0 while none is held. */
  #delayDeadlineMs = 0;
  #delayedSinceMs = 0;
  /** What the held frame waits for, when that is a policy's answer. Undefined while nothing is asked. */
  #wait: PendingVerdict | undefined;
  /** The one that was stopped before its answer came. */
  #lastWait: PendingVerdict | undefined;
  /** What was admitted of the bytes being walked, moved together. */
  #runStart = 0;
  #runEnd = 0;
  #countedClass: number = CLASS.text;
  #countedMessages = 0;
  #countedBytes = 0;

  constructor(options: {
    readonly owner: DirectionOwner;
    readonly towards: Towards;
    readonly source: Socket;
    readonly sink: Socket;
    readonly rules: SocketRules;
    readonly call: Call;
    readonly counters: Float64Array;
    readonly isDeflateNegotiated: boolean;
  }) {
    const { config, policies, classes } = options.rules;
    this.#owner = options.owner;
    this.towards = options.towards;
    this.source = options.source;
    this.sink = options.sink;
    this.#call = options.call;
    this.#counters = options.counters;
    this.#classCount = classes.length;
    this.#policies = policies[options.towards];
    this.#maxDelayMs = config.maxDelayMs;
    // One chunk more may arrive once we decide to stop; below the stream's own mark it would not tell us to go on.
    this.#blockAtBytes = Math.max(
      options.sink.writableHighWaterMark,
      config.maxBufferedBytes - CHUNK_BYTES,
    );
    this.lastReadMs = options.call.nowMs;
    this.tally = new SocketTally(classes.length);
    this.walker = new FrameWalker(this, {
      from: options.towards === 0 ? "client" : "server",
      isDeflateNegotiated: options.isDeflateNegotiated,
      maxMessageBytes: config.maxMessageBytes,
      maxFragments: config.maxFragments,
    });
  }

  /** Whether a close frame passed. */
  get isClosed(): boolean {
    return this.walker.status === WALK.closed;
  }

  /** How long reading has been paused by limits in all, the pause that runs included. */
  pausedMs(nowMs: number): number {
    return this.tally.delayedMs + (this.#delayDeadlineMs !== 0 ? nowMs - this.#delayedSinceMs : 0);
  }

  /** Bytes that the frame being judged has. */
  get frameBytes(): number {
    return this.walker.payloadBytes;
  }

  /** Whether a frame waits: for a limit, or for the answer of a policy. */
  get isHeld(): boolean {
    return this.#held !== undefined;
  }

  /** Whether bytes of ours may be put behind what was sent: no message is half out, and nothing queues. */
  get isAtBoundary(): boolean {
    return !this.walker.isInsideMessage && this.sink.writable && this.sink.writableLength === 0;
  }

  /**
   * Walks `[0, byteCount)` of `bytes`, which came from the source. They are the caller's again when it returns. Not
   * while a frame is held.
   */
  read(bytes: Buffer, byteCount: number, nowMs: number): void {
    this.lastReadMs = nowMs;
    const stopped = this.#walk(bytes, 0, byteCount, nowMs);
    if (this.walker.status !== WALK.held) return;
    this.#held = Buffer.from(bytes.subarray(stopped, byteCount));
    this.#heldAt = 0;
  }

  /** Goes on with the held chunk, if there is one and the sink takes bytes. */
  proceed(nowMs: number): void {
    const held = this.#held;
    if (held === undefined || this.isBlocked || this.hasEnded) return;
    if (this.#wait?.isOpen === true) {
      const leftMs = this.#wait.deadlineMs - nowMs;
      if (leftMs <= 0) this.#giveUp();
      else this.#owner.delayed(this, Math.max(1, leftMs));
      return;
    }
    this.#heldAt = this.#walk(held, this.#heldAt, held.length, nowMs);
    if (this.walker.status === WALK.held) return;
    this.#held = undefined;
    this.readOn();
  }

  /** Nothing more passes this way: what a frame waits for is given back as soon as it is there, exactly once. */
  stop(): void {
    const wait = this.#wait;
    if (wait === undefined) return;
    this.#wait = undefined;
    if (wait.isOpen) this.#lastWait = wait;
    wait.stop();
  }

  /** Resolves when no policy is at work for this direction any more. To be asked after `stop`. */
  get over(): Promise<void> | undefined {
    return this.#lastWait?.over;
  }

  /** Reads from the source, unless something must be got rid of first. */
  readOn(): void {
    if (this.#held === undefined && !this.isBlocked) this.source.resume();
  }

  /** The sink took all of it. */
  drained(nowMs: number): void {
    if (!this.isBlocked) return;
    this.isBlocked = false;
    if (this.isHeld) this.proceed(nowMs);
    else this.readOn();
  }

  /** @returns where the walker stopped */
  #walk(bytes: Buffer, start: number, end: number, nowMs: number): number {
    this.#call.nowMs = nowMs;
    this.#walked = bytes;
    this.#runStart = start;
    this.#runEnd = start;
    const { walker } = this;
    const stopped = walker.walk(bytes, start, end);
    this.#endCountedRun(this.#countedClass);
    outbox.send(this.sink, bytes, this.#runStart, this.#runEnd);
    this.#stopIfFull();
    const { status } = walker;
    if (status <= WALK.held) return stopped;
    if (status === WALK.stopped) this.#owner.refused(this);
    else if (status === WALK.broken) this.#owner.violated(this);
    else this.#owner.closed(this);
    return stopped;
  }

  judge(frame: FrameWalker): FrameVerdict {
    const call = this.#call;
    const { opcode, isFirst } = frame;
    if (!call.session.isOpen) {
      refuseWith(this.refusal, REASON.session_revoked);
      return FRAME_VERDICT.stop;
    }
    let classIndex: number = CLASS.control;
    if (opcode < OPCODE.close) {
      classIndex = frame.messageOpcode === OPCODE.text ? CLASS.text : CLASS.binary;
    } else if (opcode === OPCODE.close) {
      // A close is the end of all this: no limit may keep it from arriving.
      this.#count(classIndex, 1, frame.payloadBytes);
      return FRAME_VERDICT.pass;
    } else if (
      opcode === OPCODE.pong &&
      this.#owner.isOwnPong(frame.controlPayload, frame.payloadBytes)
    ) {
      return FRAME_VERDICT.drop;
    }
    const policies = this.#policies[classIndex]!;
    if (policies.length > 0) {
      let verdict;
      if (this.#wait === undefined) {
        call.classIndex = classIndex;
        call.bytes = frame.payloadBytes;
        call.isFirst = isFirst;
        call.isLast = frame.isFinal;
        verdict = judgeCall(policies, call, this.refusal, this.#asking);
        if (typeof verdict !== "number") return this.#await(verdict, policies);
      } else {
        // This very frame was held for it, and its call is as it was.
        verdict = this.#wait.take();
        this.#wait = undefined;
      }
      if (verdict !== VERDICT.admit) return this.#refuse(verdict, classIndex, isFirst);
      endCall(policies, call);
      if (this.#delayDeadlineMs !== 0) this.#endDelay();
    }
    this.#count(classIndex, isFirst ? 1 : 0, frame.payloadBytes);
    return FRAME_VERDICT.pass;
  }

  judgeRun(opcode: number, messages: number, payloadBytes: number): boolean {
    const call = this.#call;
    // What was held is judged by itself: it may pass late, and then its wait is over.
    if (!call.session.isOpen || this.#delayDeadlineMs !== 0 || this.#wait !== undefined)
      return false;
    const classIndex = opcode === OPCODE.text ? CLASS.text : CLASS.binary;
    const policies = this.#policies[classIndex]!;
    if (policies.length > 0) {
      // Two policies could not undo each other's step.
      const only = policies[0]!;
      if (policies.length > 1 || only.judgeRun === undefined) return false;
      call.classIndex = classIndex;
      call.bytes = payloadBytes;
      call.isFirst = true;
      call.isLast = true;
      if (!only.judgeRun(call, messages)) return false;
    }
    this.#count(classIndex, messages, payloadBytes);
    return true;
  }

  /** Messages mostly come in runs of one class: a run is gathered here and counted when it or the chunk ends. */
  #count(classIndex: number, messages: number, bytes: number): void {
    if (classIndex !== this.#countedClass) this.#endCountedRun(classIndex);
    this.#countedMessages += messages;
    this.#countedBytes += bytes;
  }

  #endCountedRun(nextClass: number): void {
    const classIndex = this.#countedClass;
    this.#counters[VERDICT.admit * this.#classCount + classIndex]! += this.#countedMessages;
    this.tally.admitted(classIndex, this.#countedMessages, this.#countedBytes);
    this.#countedClass = nextClass;
    this.#countedMessages = 0;
    this.#countedBytes = 0;
  }

  pass(bytes: Buffer, from: number, to: number): void {
    if (bytes !== this.#walked) {
      outbox.span(bytes, from, to);
    } else if (this.#runStart === this.#runEnd) {
      this.#runStart = from;
      this.#runEnd = to;
    } else {
      bytes.copyWithin(this.#runEnd, from, to);
      this.#runEnd += to - from;
    }
  }

  /** Stops reading when the sink has enough. */
  #stopIfFull(): void {
    const queuedBytes = this.sink.writableLength;
    if (queuedBytes < this.#blockAtBytes || this.isBlocked) return;
    this.isBlocked = true;
    this.blockedSinceMs = this.#call.nowMs;
    this.blockedBytes = queuedBytes;
    this.source.pause();
  }

  /**
   * Holds the frame until the verdict is there, and reads nothing meanwhile: nothing overtakes. The other direction goes
   * on. Longer than the longest delay nobody waits.
   */
  #await(verdict: Promise<Verdict>, policies: readonly Policy[]): FrameVerdict {
    const { nowMs } = this.#call;
    const deadlineMs = this.#delayDeadlineMs || nowMs + this.#maxDelayMs;
    const wait = new PendingVerdict(verdict, {
      call: this.#call,
      policies,
      refusal: this.refusal,
      abort: this.#asking.abort,
      deadlineMs,
      settled: () => this.#owner.goOn(this),
    });
    this.#wait = wait;
    this.source.pause();
    this.#owner.delayed(this, Math.max(1, deadlineMs - nowMs));
    return FRAME_VERDICT.hold;
  }

  /** The policy took too long. */
  #giveUp(): void {
    this.stop();
    const { classIndex } = this.#call;
    refuseWith(this.refusal, REASON.overloaded);
    this.#counters[VERDICT.shed * this.#classCount + classIndex]! += 1;
    this.#owner.refused(this);
  }

  #refuse(verdict: Verdict, classIndex: number, isFirst: boolean): FrameVerdict {
    // Half of the message is out: only the end is left.
    let action = isFirst ? socketActionOf(this.refusal) : "close";
    // A pong answers a ping of the other side: it is not the source's to answer for.
    if (verdict === VERDICT.throttle && this.walker.opcode !== OPCODE.pong)
      action = this.#owner.overLimit(this, action);
    if (action === "delay") {
      if (this.#delayDeadlineMs === 0) this.#beginDelay(verdict, classIndex);
      const leftMs = this.#delayDeadlineMs - this.#call.nowMs;
      if (leftMs > 0) {
        const waitMs = Math.max(1, Math.min(this.refusal.retryAfterMs, leftMs));
        this.#owner.delayed(this, waitMs);
        return FRAME_VERDICT.hold;
      }
    }
    if (this.#delayDeadlineMs === 0) this.#counters[verdict * this.#classCount + classIndex]! += 1;
    else this.#endDelay();
    if (action !== "drop") return FRAME_VERDICT.stop;
    this.tally.dropped(classIndex);
    return FRAME_VERDICT.drop;
  }

  #beginDelay(verdict: number, classIndex: number): void {
    this.#counters[verdict * this.#classCount + classIndex]! += 1;
    this.#delayedSinceMs = this.#call.nowMs;
    this.#delayDeadlineMs = this.#call.nowMs + this.#maxDelayMs;
    this.source.pause();
  }

  #endDelay(): void {
    this.tally.delayedMs += this.#call.nowMs - this.#delayedSinceMs;
    this.#delayDeadlineMs = 0;
  }
}

/** A frame that was admitted is on its way: what could come back is spent, and the call is over. */
function endCall(policies: readonly Policy[], call: Call): void {
  for (let index = 0; index < policies.length; index += 1) {
    const policy = policies[index]!;
    policy.commit?.(call);
    policy.release?.(call, "done");
  }
}

/** The most that the platform reads from a connection at once. */
const CHUNK_BYTES = 65_536;
