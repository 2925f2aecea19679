// Longer than 400 lines: one state machine; its states share every field, and calls between files would cost each frame.

import { isUtf8 } from "node:buffer";
import { isCloseCode } from "./close-code.ts";
import { MAX_CONTROL_PAYLOAD_BYTES, MAX_HEADER_BYTES, OPCODE } from "./opcode.ts";
import type { Violation } from "./violation.ts";

/** What a guard says about a frame. Numbers, because the answer must not allocate. */
export const FRAME_VERDICT = {
  /** Forward it. */
  pass: 0,
  /**
   * Leave out the whole message (its later frames too), or the control frame. Said of a later frame it is a
   * `stop`: half of the message is out already.
   */
  drop: 1,
  /** Not now: `walk` returns before the frame and asks again about it when it is called next. */
  hold: 2,
  /** Never, and nothing after it either. */
  stop: 3,
} as const;
export type FrameVerdict = (typeof FRAME_VERDICT)[keyof typeof FRAME_VERDICT];

/** Where a walker stands. The last three are final: later bytes are swallowed. */
export const WALK = { walking: 0, held: 1, stopped: 2, broken: 3, closed: 4 } as const;
export type Walk = (typeof WALK)[keyof typeof WALK];

/** The most that is kept of a frame that two chunks share: a header, or a whole control frame. */
export const MAX_SPANNING_BYTES = MAX_HEADER_BYTES + MAX_CONTROL_PAYLOAD_BYTES;

/** Whoever owns a walker: judges frames and takes the bytes of those it let pass. */
export interface FrameGuard {
  /**
   * Asked once per frame, when its header is there (control frames: when all of it is there, so that a half
   * one is never forwarded), but not about later frames of a dropped message. The walker's fields tell which
   * frame. Must not call `walk`.
   */
  judge(frame: FrameWalker): FrameVerdict;
  /**
   * Asked first about two or more messages of one opcode that lie whole in the chunk, one frame each. True: all of them
   * pass. False: nothing has happened, and `judge` is asked about each. Batches of small messages are judged in one step so.
   */
  judgeRun?(opcode: number, messages: number, payloadBytes: number): boolean;
  /**
   * Takes `[from, to)` of `bytes`, all of it admitted: usually the chunk given to `walk`, from its first byte to
   * its last; one call per run between dropped frames. Called only from within `walk`. Bytes that are not the chunk
   * given to `walk` are the walker's own, at most `MAX_SPANNING_BYTES`, come before all of that chunk, and are
   * valid during the call.
   */
  pass(bytes: Buffer, from: number, to: number): void;
}

export interface FrameWalkerOptions {
  /** Whose frames these are: a client's must be masked, a server's must not be. */
  readonly from: "client" | "server";
  /** Whether permessage-deflate was negotiated: RSV1 may then stand on first frames of data messages. */
  readonly isDeflateNegotiated: boolean;
  /** Payload of one message over all its frames. With compression, of its compressed form. */
  readonly maxMessageBytes: number;
  /** Frames of one message. */
  readonly maxFragments: number;
}

/**
 * Reads the headers of RFC 6455 frames as bytes pass, in whatever chunks they come, and hands the bytes on as
 * they came: frames are never rebuilt, payloads never copied, unmasked or gathered (but for close and pong
 * frames, at most 125 bytes). Nothing is allocated per frame; a frame header that two chunks share costs one
 * small copy.
 *
 * Strict: what is refused and why is in `violation.ts`, and it is refused at the same byte wherever the cuts
 * between chunks fall. Bytes out are always those of the admitted frames before it. UTF-8 of text messages is not
 * checked: that takes reading them.
 */
export class FrameWalker {
  /** Set by `walk`; read by the owner after it. */
  status: Walk = WALK.walking;
  /** Why the walker is broken. */
  violation: Violation | undefined;
  /** Position of the byte that broke the rules, counted from the first byte ever walked; -1 when none did. */
  violationOffset = -1;

  // The frame being judged; valid during `FrameGuard.judge`, and for `closeCode` from then on.

  /** As it stands in the header: `continuation` for later frames of a message. */
  opcode = 0;
  /** `text` or `binary` of the message that a data frame belongs to; the opcode itself for control frames. */
  messageOpcode = 0;
  /** Payload length that the header declares. */
  payloadBytes = 0;
  /** Whether the message ends with this frame. */
  isFinal = false;
  /** For close frames: the code, 1005 when there is none (RFC 6455 §7.1.5). */
  closeCode = 0;

  readonly #guard: FrameGuard;
  readonly #maskBit: number;
  /** Reserved bits that are refused on first frames of data messages; all three elsewhere. */
  readonly #refusedBits: number;
  readonly #maxMessageBytes: number;
  readonly #maxFragments: number;

  /** `text` or `binary` inside a fragmented message, 0 between messages. */
  #openOpcode = 0;
  #openBytes = 0;
  #openFragments = 0;
  #isMessageDropped = false;

  /** Payload bytes of the last judged frame that are still to come. */
  #payloadLeft = 0;
  #isPayloadDropped = false;

  /** Bytes of a header (or control frame) that is not whole yet. Made when first needed; at most 14 + 125. */
  #heldFrame: Buffer | undefined;
  #heldBytes = 0;

  /** What `#scanRun` found. */
  #runMessages = 0;
  #runBytes = 0;

  /** Position of the next byte in the whole stream. */
  #offset = 0;

  constructor(guard: FrameGuard, options: FrameWalkerOptions) {
    this.#guard = guard;
    this.#maskBit = options.from === "client" ? 0x80 : 0;
    this.#refusedBits = options.isDeflateNegotiated ? 0x30 : 0x70;
    this.#maxMessageBytes = options.maxMessageBytes;
    this.#maxFragments = options.maxFragments;
  }

  /** Whether what was passed ends inside a frame: nothing of ours may be put behind it. */
  get isInsideFrame(): boolean {
    return this.#payloadLeft > 0 && !this.#isPayloadDropped;
  }

  /** Whether what was passed ends inside a message, be it inside a frame or between two fragments. */
  get isInsideMessage(): boolean {
    return this.isInsideFrame || (this.#openOpcode !== 0 && !this.#isMessageDropped);
  }

  /** Whether the frame being judged begins something: a message, or a control frame. */
  get isFirst(): boolean {
    return this.opcode !== OPCODE.continuation;
  }

  /**
   * Payload of the close or pong frame being judged, unmasked. One buffer for all walkers: valid during
   * `FrameGuard.judge`, up to `payloadBytes`.
   */
  get controlPayload(): Buffer {
    return controlPayload;
  }

  /**
   * Walks over `[start, end)` of `chunk`, judging frames and passing admitted bytes. Nothing of `chunk` is kept.
   *
   * @returns where it stopped: `end`, or, when a frame was held, the position from which the next call must be given
   *   the same bytes. Bytes behind a violation, a stop or a close frame are swallowed.
   */
  walk(chunk: Buffer, start: number, end: number = chunk.length): number {
    if (this.status >= WALK.stopped) return end;
    this.status = WALK.walking;
    const stopped = this.#walkFrames(chunk, start, end);
    this.#offset += stopped - start;
    return this.status >= WALK.stopped ? end : stopped;
  }

  #walkFrames(chunk: Buffer, start: number, end: number): number {
    let at = start;
    /** First admitted byte that was not handed to the guard yet. */
    let runStart = start;

    if (this.#payloadLeft > 0) {
      at = this.#skipPayload(at, end);
      if (this.#isPayloadDropped) runStart = at;
    } else if (this.#heldBytes > 0) {
      at = this.#walkHeldFrame(chunk, start, end);
      if (this.#heldBytes > 0 || this.status !== WALK.walking) return at;
      runStart = at;
      if (this.#payloadLeft > 0) {
        at = this.#skipPayload(at, end);
        if (this.#isPayloadDropped) runStart = at;
      }
    }

    /** Runs were looked for up to here. */
    let scanned = at;
    while (at < end) {
      if (at >= scanned && this.#openOpcode === 0 && this.#guard.judgeRun !== undefined) {
        scanned = this.#scanRun(chunk, at, end);
        if (
          this.#runMessages > 1 &&
          this.#guard.judgeRun(chunk[at]! & 0x0f, this.#runMessages, this.#runBytes)
        ) {
          at = scanned;
          continue;
        }
      }
      const headerBytes = this.#readHeader(chunk, at, end - at);
      if (headerBytes < 0) {
        this.violationOffset = this.#offset + at - start + (-1 - headerBytes);
        break;
      }
      const isControl = this.opcode >= OPCODE.close;
      if (headerBytes === 0 || (isControl && headerBytes + this.payloadBytes > end - at)) {
        if (at > runStart) this.#guard.pass(chunk, runStart, at);
        this.#holdBytes(chunk, at, end);
        return end;
      }
      if (isControl && !this.#readControlPayload(chunk, at + headerBytes)) {
        this.violationOffset = this.#offset + at - start + headerBytes + this.payloadBytes - 1;
        break;
      }
      const verdict = this.#judge();
      if (verdict >= FRAME_VERDICT.hold) {
        this.status = verdict === FRAME_VERDICT.hold ? WALK.held : WALK.stopped;
        break;
      }
      if (verdict === FRAME_VERDICT.drop && at > runStart) this.#guard.pass(chunk, runStart, at);
      at = this.#skipPayload(at + headerBytes, end);
      if (verdict === FRAME_VERDICT.drop) runStart = at;
      if (this.status === WALK.closed) break;
    }
    if (at > runStart) this.#guard.pass(chunk, runStart, at);
    return at;
  }

  /**
   * Completes the frame whose first bytes came with earlier chunks. One byte at a time, so that a violation is
   * seen at the byte that commits it; a header has at most 14 of them.
   *
   * @returns the position behind what was taken from `chunk`
   */
  #walkHeldFrame(chunk: Buffer, start: number, end: number): number {
    const held = this.#heldFrame!;
    const before = this.#heldBytes;
    let at = start;
    let headerBytes = this.#readHeader(held, 0, this.#heldBytes);
    while (headerBytes === 0) {
      if (at === end) return at;
      held[this.#heldBytes] = chunk[at]!;
      this.#heldBytes += 1;
      at += 1;
      headerBytes = this.#readHeader(held, 0, this.#heldBytes);
    }
    if (headerBytes < 0) {
      this.violationOffset = this.#offset + at - start - 1;
      return at;
    }
    if (this.opcode >= OPCODE.close) {
      const wanted = headerBytes + this.payloadBytes - this.#heldBytes;
      const taken = Math.min(wanted, end - at);
      chunk.copy(held, this.#heldBytes, at, at + taken);
      this.#heldBytes += taken;
      at += taken;
      if (taken < wanted) return at;
      if (!this.#readControlPayload(held, headerBytes)) {
        this.violationOffset = this.#offset + at - start - 1;
        return at;
      }
    }
    const verdict = this.#judge();
    if (verdict >= FRAME_VERDICT.hold) {
      this.status = verdict === FRAME_VERDICT.hold ? WALK.held : WALK.stopped;
      // Forget what was taken from this chunk: the next call brings it again.
      this.#heldBytes = before;
      return start;
    }
    const frameBytes = this.#heldBytes;
    this.#heldBytes = 0;
    if (verdict === FRAME_VERDICT.pass) this.#guard.pass(held, 0, frameBytes);
    if (this.opcode >= OPCODE.close) this.#payloadLeft = 0;
    return at;
  }

  /**
   * Looks for messages of one opcode, one frame each, whole in the chunk, and without fault. What is anything else, or long
   * enough for the eight-byte form of its length, ends the run: for that there is `#readHeader`.
   *
   * @returns the position behind the run, which `#runMessages` and `#runBytes` describe
   */
  #scanRun(chunk: Buffer, start: number, end: number): number {
    const first = chunk[start]!;
    const opcode = first & 0x0f;
    const maskBit = this.#maskBit;
    const maskBytes = maskBit === 0 ? 0 : 4;
    let messages = 0;
    let bytes = 0;
    let at = start;
    const isPlain =
      first >= 0x80 &&
      (first & this.#refusedBits) === 0 &&
      (opcode === OPCODE.text || opcode === OPCODE.binary);
    while (isPlain && end - at >= 4 && chunk[at] === first) {
      const second = chunk[at + 1]!;
      if ((second & 0x80) !== maskBit) break;
      let payloadBytes = second & 0x7f;
      let next = at + 2 + maskBytes;
      if (payloadBytes > MAX_CONTROL_PAYLOAD_BYTES) {
        if (payloadBytes !== 126) break;
        payloadBytes = (chunk[at + 2]! << 8) | chunk[at + 3]!;
        if (payloadBytes < 126) break;
        next += 2;
      }
      next += payloadBytes;
      if (next > end || payloadBytes > this.#maxMessageBytes) break;
      messages += 1;
      bytes += payloadBytes;
      at = next;
    }
    this.#runMessages = messages;
    this.#runBytes = bytes;
    // At least one step, so that what is no run is looked at once.
    return Math.max(at, start + 1);
  }

  #holdBytes(chunk: Buffer, from: number, to: number): void {
    this.#heldFrame ??= Buffer.allocUnsafe(MAX_SPANNING_BYTES);
    chunk.copy(this.#heldFrame, this.#heldBytes, from, to);
    this.#heldBytes += to - from;
  }

  /** Steps over as much of the current payload as is there. @returns the position behind it */
  #skipPayload(at: number, end: number): number {
    const here = end - at;
    if (this.#payloadLeft <= here) {
      at += this.#payloadLeft;
      this.#payloadLeft = 0;
      return at;
    }
    this.#payloadLeft -= here;
    return end;
  }

  /**
   * Reads a frame header out of the `available` bytes from `at`, checking each byte as soon as it is there.
   * Changes nothing but the fields that describe the frame, so that it can be done again.
   *
   * @returns its length; 0 when more bytes are needed; -1 - i when byte i of it breaks a rule
   */
  #readHeader(bytes: Buffer, at: number, available: number): number {
    const first = bytes[at]!;
    const opcode = first & 0x0f;
    const isFinal = first >= 0x80;
    if (opcode >= OPCODE.close) {
      if ((first & 0x70) !== 0) return this.#refuse("reserved-bits", 0);
      if (opcode > OPCODE.pong) return this.#refuse("reserved-opcode", 0);
      if (!isFinal) return this.#refuse("fragmented-control", 0);
      this.messageOpcode = opcode;
    } else if (opcode === OPCODE.continuation) {
      // RFC 7692 §6.1: RSV1 marks a compressed message on its first frame only.
      if ((first & 0x70) !== 0) return this.#refuse("reserved-bits", 0);
      if (this.#openOpcode === 0) return this.#refuse("nothing-to-continue", 0);
      if (this.#openFragments >= this.#maxFragments) return this.#refuse("too-many-fragments", 0);
      this.messageOpcode = this.#openOpcode;
    } else {
      if ((first & this.#refusedBits) !== 0) return this.#refuse("reserved-bits", 0);
      if (opcode > OPCODE.binary) return this.#refuse("reserved-opcode", 0);
      if (this.#openOpcode !== 0) return this.#refuse("interleaved-message", 0);
      this.messageOpcode = opcode;
    }
    this.opcode = opcode;
    this.isFinal = isFinal;

    if (available < 2) return 0;
    const second = bytes[at + 1]!;
    if ((second & 0x80) !== this.#maskBit) {
      return this.#refuse(this.#maskBit === 0 ? "mask-present" : "mask-missing", 1);
    }
    let payloadBytes = second & 0x7f;
    let headerBytes = 2;
    if (payloadBytes > MAX_CONTROL_PAYLOAD_BYTES) {
      if (opcode >= OPCODE.close) return this.#refuse("long-control", 1);
      if (payloadBytes === 126) {
        if (available < 4) return 0;
        payloadBytes = bytes.readUInt16BE(at + 2);
        headerBytes = 4;
        if (payloadBytes < 126) return this.#refuse("length-not-minimal", 3);
      } else {
        if (available < 3) return 0;
        if (bytes[at + 2]! >= 0x80) return this.#refuse("length-negative", 2);
        if (available < 10) return 0;
        // Beyond 2^53 this is not exact, but still above every bound that can be configured.
        payloadBytes = bytes.readUInt32BE(at + 2) * 0x1_0000_0000 + bytes.readUInt32BE(at + 6);
        headerBytes = 10;
        if (payloadBytes < 0x1_0000) return this.#refuse("length-not-minimal", 9);
      }
    } else if (opcode === OPCODE.close && payloadBytes === 1) {
      return this.#refuse("close-payload", 1);
    }
    if (opcode < OPCODE.close) {
      const before = opcode === OPCODE.continuation ? this.#openBytes : 0;
      if (before + payloadBytes > this.#maxMessageBytes) {
        return this.#refuse("message-too-big", headerBytes - 1);
      }
    }
    this.payloadBytes = payloadBytes;
    if (this.#maskBit !== 0) headerBytes += 4;
    return available < headerBytes ? 0 : headerBytes;
  }

  #refuse(violation: Violation, byteOfHeader: number): number {
    this.status = WALK.broken;
    this.violation = violation;
    return -1 - byteOfHeader;
  }

  /** Unmasks and checks the payload of a close frame, unmasks that of a pong. @returns false on a violation */
  #readControlPayload(bytes: Buffer, payloadAt: number): boolean {
    if (this.opcode === OPCODE.ping) return true;
    const payloadBytes = this.payloadBytes;
    if (this.#maskBit === 0) {
      bytes.copy(controlPayload, 0, payloadAt, payloadAt + payloadBytes);
    } else {
      for (let i = 0; i < payloadBytes; i += 1) {
        controlPayload[i] = bytes[payloadAt + i]! ^ bytes[payloadAt - 4 + (i & 3)]!;
      }
    }
    if (this.opcode === OPCODE.pong) return true;
    this.closeCode = payloadBytes === 0 ? 1005 : controlPayload.readUInt16BE(0);
    if (payloadBytes === 0) return true;
    if (!isCloseCode(this.closeCode)) this.violation = "close-code";
    else if (!isUtf8(controlPayload.subarray(2, payloadBytes))) this.violation = "close-reason";
    else return true;
    this.status = WALK.broken;
    return false;
  }

  /** Asks about the frame whose header was read, and takes it into the state of its message. */
  #judge(): FrameVerdict {
    const opcode = this.opcode;
    if (opcode >= OPCODE.close) {
      const verdict = this.#guard.judge(this);
      if (verdict >= FRAME_VERDICT.hold) return verdict;
      this.#payloadLeft = this.payloadBytes;
      this.#isPayloadDropped = verdict === FRAME_VERDICT.drop;
      // RFC 6455 §5.5.1: nothing may follow a close frame, and whatever does is not looked at.
      if (opcode === OPCODE.close && verdict === FRAME_VERDICT.pass) this.status = WALK.closed;
      return verdict;
    }
    const isContinuation = opcode === OPCODE.continuation;
    let verdict: FrameVerdict = FRAME_VERDICT.drop;
    if (!isContinuation || !this.#isMessageDropped) {
      verdict = this.#guard.judge(this);
      if (verdict >= FRAME_VERDICT.hold) return verdict;
      // Half a message went out already: leaving out the rest would corrupt it.
      if (isContinuation && verdict === FRAME_VERDICT.drop) return FRAME_VERDICT.stop;
    }
    this.#payloadLeft = this.payloadBytes;
    this.#isPayloadDropped = verdict === FRAME_VERDICT.drop;
    if (this.isFinal) {
      if (isContinuation) this.#endMessage();
    } else if (isContinuation) {
      this.#openBytes += this.payloadBytes;
      this.#openFragments += 1;
    } else {
      this.#openOpcode = opcode;
      this.#openBytes = this.payloadBytes;
      this.#openFragments = 1;
      this.#isMessageDropped = verdict === FRAME_VERDICT.drop;
    }
    return verdict;
  }

  #endMessage(): void {
    this.#openOpcode = 0;
    this.#openBytes = 0;
    this.#openFragments = 0;
    this.#isMessageDropped = false;
  }
}

/** Where control payloads are unmasked. One for all: judging is synchronous. */
const controlPayload = Buffer.allocUnsafe(MAX_CONTROL_PAYLOAD_BYTES);
