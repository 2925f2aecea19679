import * as fc from "fast-check";
import { OPCODE } from "./opcode.ts";

/** A frame to write, legal or not. For the tests of this package: made apart from the walker, on purpose. */
export interface FrameSpec {
  readonly isFinal: boolean;
  /** RSV1 is 4, RSV2 2, RSV3 1. */
  readonly reserved: number;
  readonly opcode: number;
  readonly isMasked: boolean;
  /** Bytes used for the length: 0 means the shortest form. */
  readonly lengthBytes: 0 | 2 | 8;
  readonly payload: Buffer;
}

/** The bytes of a frame. A masked payload is masked with the four bytes 0x11 0x22 0x33 0x44. */
export function writeFrame(frame: FrameSpec): Buffer {
  const { length } = frame.payload;
  const shortest = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const lengthBytes = Math.max(shortest, frame.lengthBytes);
  const head = Buffer.alloc(2 + lengthBytes);
  head[0] = (frame.isFinal ? 0x80 : 0) | (frame.reserved << 4) | frame.opcode;
  head[1] =
    (frame.isMasked ? 0x80 : 0) | (lengthBytes === 0 ? length : lengthBytes === 2 ? 126 : 127);
  if (lengthBytes === 2) head.writeUInt16BE(length, 2);
  if (lengthBytes === 8) head.writeBigUInt64BE(BigInt(length), 2);
  if (!frame.isMasked) return Buffer.concat([head, frame.payload]);
  const masked = frame.payload.map((byte, at) => byte ^ MASK[at % 4]!);
  return Buffer.concat([head, MASK, masked]);
}

const MASK = Buffer.from([0x11, 0x22, 0x33, 0x44]);

export const frame = (spec: Partial<FrameSpec>): FrameSpec => ({
  isFinal: true,
  reserved: 0,
  opcode: OPCODE.text,
  isMasked: true,
  lengthBytes: 0,
  payload: Buffer.from("hello"),
  ...spec,
});

export const closePayload = (code: number, reason: string | Buffer = ""): Buffer => {
  const head = Buffer.alloc(2);
  head.writeUInt16BE(code);
  return Buffer.concat([head, Buffer.from(reason as string)]);
};

/** Sizes on both sides of every border of the length's forms. */
const size = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 0, max: 40 }) },
  { weight: 2, arbitrary: fc.constantFrom(0, 1, 124, 125, 126, 127, 300) },
  { weight: 1, arbitrary: fc.constantFrom(65_535, 65_536, 65_600) },
);

const textPayload = size.map((length) => Buffer.alloc(length, "text of people "));

const controlFrame = fc
  .record({
    opcode: fc.constantFrom(OPCODE.ping, OPCODE.pong),
    length: fc.oneof(fc.integer({ min: 0, max: 12 }), fc.constant(125)),
  })
  .map(({ opcode, length }) => frame({ opcode, payload: Buffer.alloc(length, "c") }));

const closeFrame = fc
  .oneof(
    fc.constant(Buffer.alloc(0)),
    fc
      .record({
        code: fc.constantFrom(1000, 1001, 1007, 1011, 1014, 3000, 4000, 4999),
        reason: fc.constantFrom("", "bye", "grüße", "x".repeat(123)),
      })
      .map(({ code, reason }) => closePayload(code, reason)),
  )
  .map((payload) => frame({ opcode: OPCODE.close, payload }));

const message = fc
  .record({
    opcode: fc.constantFrom(OPCODE.text, OPCODE.binary),
    parts: fc.array(textPayload, { minLength: 1, maxLength: 4 }),
    between: fc.array(fc.option(controlFrame, { nil: undefined }), { minLength: 4, maxLength: 4 }),
  })
  .map(({ opcode, parts, between }) =>
    parts.flatMap((payload, at) => {
      const isFinal = at === parts.length - 1;
      const data = frame({ opcode: at === 0 ? opcode : OPCODE.continuation, isFinal, payload });
      const control = between[at];
      return control === undefined ? [data] : [data, control];
    }),
  );

/** A legal sequence of masked frames: messages in fragments, control frames between them, perhaps a close. */
export const legalFrames: fc.Arbitrary<readonly FrameSpec[]> = fc
  .record({
    messages: fc.array(message, { maxLength: 6 }),
    close: fc.option(closeFrame, { nil: undefined }),
  })
  .map(({ messages, close }) => messages.flat().concat(close ?? []));

/** One way to spoil a frame. */
const spoiling: fc.Arbitrary<Partial<FrameSpec>> = fc.oneof(
  fc.record({ reserved: fc.integer({ min: 1, max: 7 }) }),
  fc.record({ opcode: fc.integer({ min: 0, max: 15 }) }),
  fc.record({ isFinal: fc.boolean() }),
  fc.record({ isMasked: fc.boolean() }),
  fc.record({ lengthBytes: fc.constantFrom(0, 2, 8) }),
  fc.record({ payload: fc.uint8Array({ maxLength: 130 }).map((bytes) => Buffer.from(bytes)) }),
  fc.record({
    opcode: fc.constant(OPCODE.close),
    payload: fc
      .record({
        code: fc.integer({ min: 0, max: 5100 }),
        reason: fc.uint8Array({ maxLength: 4 }),
      })
      .map(({ code, reason }) => closePayload(code, Buffer.from(reason))),
  }),
);

/** Sequences that are mostly illegal somewhere: one to three frames of a legal one are spoilt. */
export const spoiltFrames: fc.Arbitrary<readonly FrameSpec[]> = fc
  .record({
    frames: legalFrames,
    spoils: fc.array(fc.record({ at: fc.nat(30), with: spoiling }), { minLength: 1, maxLength: 3 }),
  })
  .map(({ frames, spoils }) => {
    const spoilt = frames.length === 0 ? [frame({})] : frames.slice();
    for (const spoil of spoils) {
      const at = spoil.at % spoilt.length;
      spoilt[at] = frame({ ...spoilt[at]!, ...spoil.with });
    }
    return spoilt;
  });

/** Where to cut: shares of the whole, so that they shrink with it; `[]` leaves it in one piece. */
export const cuts: fc.Arbitrary<readonly number[]> = fc.array(
  fc.double({ min: 0, max: 1, noNaN: true }),
  { maxLength: 20 },
);

/** Cuts `bytes` at shares of its length. Each piece has memory of its own, as chunks of a socket do. */
export function cut(bytes: Buffer, shares: readonly number[]): Buffer[] {
  const places = shares.map((share) => Math.floor(share * bytes.length)).toSorted((a, b) => a - b);
  const borders = [0, ...places, bytes.length];
  return borders.slice(1).map((end, at) => Buffer.from(bytes.subarray(borders[at], end)));
}

/** Cuts `bytes` into pieces of one byte. */
export function cutEverywhere(bytes: Buffer): Buffer[] {
  return Array.from(bytes, (byte) => Buffer.of(byte));
}
