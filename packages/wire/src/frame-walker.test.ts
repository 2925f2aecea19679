import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import {
  FRAME_VERDICT,
  FrameWalker,
  WALK,
  type FrameVerdict,
  type FrameWalkerOptions,
} from "./frame-walker.ts";
import {
  closePayload,
  cut,
  cutEverywhere,
  cuts,
  frame,
  legalFrames,
  spoiltFrames,
  writeFrame,
  type FrameSpec,
} from "./frames.arbitrary.ts";
import { OPCODE } from "./opcode.ts";
import type { Violation } from "./violation.ts";

const { pass, drop, hold, stop } = FRAME_VERDICT;

const CLIENT: FrameWalkerOptions = {
  from: "client",
  isDeflateNegotiated: false,
  maxMessageBytes: 1_000_000,
  maxFragments: 8,
};

interface Seen {
  readonly opcode: number;
  readonly messageOpcode: number;
  readonly payloadBytes: number;
  readonly isFinal: boolean;
}

/** Walks over all chunks and notes everything that comes out. */
function walkAll(
  chunks: readonly Buffer[],
  options: FrameWalkerOptions = CLIENT,
  decide: (index: number) => FrameVerdict = () => pass,
) {
  const frames: Seen[] = [];
  const out: Buffer[] = [];
  const closeCodes: number[] = [];
  let asked = 0;
  const walker = new FrameWalker(
    {
      judge({ opcode, messageOpcode, payloadBytes, isFinal, closeCode }) {
        const verdict = decide(asked);
        asked += 1;
        if (verdict === hold) return verdict;
        frames.push({ opcode, messageOpcode, payloadBytes, isFinal });
        if (opcode === OPCODE.close) closeCodes.push(closeCode);
        return verdict;
      },
      pass(bytes, from, to) {
        assert.ok(from < to && to <= bytes.length, "an empty or impossible run was passed");
        out.push(Buffer.from(bytes.subarray(from, to)));
      },
    },
    options,
  );
  for (const chunk of chunks) {
    let at = walker.walk(chunk, 0);
    for (let again = 0; walker.status === WALK.held; again += 1) {
      assert.ok(again < 100, "held for ever");
      at = walker.walk(chunk, at);
    }
    assert.equal(at, chunk.length);
  }
  const { status, violation, violationOffset, isInsideFrame, isInsideMessage } = walker;
  return {
    frames,
    out: Buffer.concat(out),
    closeCodes,
    status,
    violation,
    violationOffset,
    isInsideFrame,
    isInsideMessage,
  };
}

const bytesOf = (frames: readonly FrameSpec[]) => Buffer.concat(frames.map(writeFrame));

/** A fragment of `text`, the first of a message unless told otherwise. */
const fragment = (spec: Partial<FrameSpec> = {}) => frame({ isFinal: false, ...spec });
const continuation = (spec: Partial<FrameSpec> = {}) =>
  frame({ opcode: OPCODE.continuation, ...spec });
const ping = (spec: Partial<FrameSpec> = {}) => frame({ opcode: OPCODE.ping, ...spec });
const close = (payload: Buffer) => frame({ opcode: OPCODE.close, payload });

/** Header of a masked binary frame with a hand-made 64-bit length. */
const lengthHeader = (length: bigint) => {
  const head = Buffer.alloc(14);
  head[0] = 0x82;
  head[1] = 0xff;
  head.writeBigUInt64BE(length, 2);
  return head;
};

describe("FrameWalker refuses", () => {
  // What stands before is 11 bytes: a legal frame of "hello". Byte = position inside the illegal frame.
  const before = writeFrame(frame({}));
  const cases: readonly (readonly [string, Buffer, Violation, number])[] = [
    ["an unmasked frame", writeFrame(frame({ isMasked: false })), "mask-missing", 1],
    ["RSV1 without deflate", writeFrame(frame({ reserved: 4 })), "reserved-bits", 0],
    ["RSV2", writeFrame(frame({ reserved: 2 })), "reserved-bits", 0],
    ["RSV3 on a ping", writeFrame(ping({ reserved: 1 })), "reserved-bits", 0],
    ["opcode 3", writeFrame(frame({ opcode: 3 })), "reserved-opcode", 0],
    ["opcode 7", writeFrame(frame({ opcode: 7 })), "reserved-opcode", 0],
    ["opcode 11", writeFrame(frame({ opcode: 11 })), "reserved-opcode", 0],
    ["opcode 15", writeFrame(frame({ opcode: 15 })), "reserved-opcode", 0],
    ["a continuation of nothing", writeFrame(continuation()), "nothing-to-continue", 0],
    ["a fragmented ping", writeFrame(ping({ isFinal: false })), "fragmented-control", 0],
    ["a ping of 126 bytes", writeFrame(ping({ payload: Buffer.alloc(126) })), "long-control", 1],
    [
      "a ping of 5 bytes with a long length",
      writeFrame(ping({ lengthBytes: 2 })),
      "long-control",
      1,
    ],
    ["a short length in 16 bits", writeFrame(frame({ lengthBytes: 2 })), "length-not-minimal", 3],
    ["a short length in 64 bits", writeFrame(frame({ lengthBytes: 8 })), "length-not-minimal", 9],
    ["a length of 65,535 in 64 bits", lengthHeader(65_535n), "length-not-minimal", 9],
    ["a length of 2^63", lengthHeader(2n ** 63n), "length-negative", 2],
    ["a length of 2^64 - 1", lengthHeader(2n ** 64n - 1n), "length-negative", 2],
    ["a length of 2^63 - 1", lengthHeader(2n ** 63n - 1n), "message-too-big", 9],
    ["a length of 2^32 + 5", lengthHeader(2n ** 32n + 5n), "message-too-big", 9],
    ["one byte above the bound", lengthHeader(1_000_001n), "message-too-big", 9],
    ["a close of one byte", writeFrame(close(Buffer.of(3))), "close-payload", 1],
    ["close code 999", writeFrame(close(closePayload(999))), "close-code", 7],
    ["close code 1004", writeFrame(close(closePayload(1004))), "close-code", 7],
    ["close code 1005 on the wire", writeFrame(close(closePayload(1005))), "close-code", 7],
    ["close code 1006 on the wire", writeFrame(close(closePayload(1006))), "close-code", 7],
    ["close code 1015", writeFrame(close(closePayload(1015))), "close-code", 7],
    ["close code 2999", writeFrame(close(closePayload(2999))), "close-code", 7],
    ["close code 5000", writeFrame(close(closePayload(5000))), "close-code", 7],
    [
      "a close reason that is no UTF-8",
      writeFrame(close(closePayload(1000, Buffer.of(0xc3, 0x28)))),
      "close-reason",
      9,
    ],
    [
      "a surrogate in a close reason",
      writeFrame(close(closePayload(1000, Buffer.of(0xed, 0xa0, 0x80)))),
      "close-reason",
      10,
    ],
    [
      "a new message inside an open one",
      bytesOf([fragment(), frame({})]),
      "interleaved-message",
      11,
    ],
    [
      "RSV1 on a continuation",
      bytesOf([fragment(), continuation({ reserved: 4 })]),
      "reserved-bits",
      11,
    ],
    [
      "a fragment beyond the bound",
      bytesOf([fragment(), ...Array.from({ length: 8 }, () => continuation({ isFinal: false }))]),
      "too-many-fragments",
      88,
    ],
  ];
  for (const [name, illegal, violation, byte] of cases) {
    test(`${name} at byte ${byte}, in one piece and byte by byte`, () => {
      const bytes = Buffer.concat([before, illegal]);
      for (const chunks of [[bytes], cutEverywhere(bytes)]) {
        const seen = walkAll(chunks);
        assert.equal(seen.violation, violation);
        assert.equal(seen.violationOffset, before.length + byte);
        assert.equal(seen.status, WALK.broken);
      }
    });
  }

  test("a masked frame of a server", () => {
    const seen = walkAll([writeFrame(frame({}))], { ...CLIENT, from: "server" });
    assert.equal(seen.violation, "mask-present");
  });

  test("fragments that together pass the bound, at the header of the one that does", () => {
    const parts = [
      fragment({ payload: Buffer.alloc(60) }),
      continuation({ payload: Buffer.alloc(41) }),
    ];
    const seen = walkAll([bytesOf(parts)], { ...CLIENT, maxMessageBytes: 100 });
    assert.equal(seen.violation, "message-too-big");
    assert.equal(seen.violationOffset, 66 + 1);
    assert.deepEqual(seen.out, writeFrame(parts[0]!));
  });

  test("RSV1 on control frames and continuations even with deflate", () => {
    const deflate = { ...CLIENT, isDeflateNegotiated: true };
    assert.equal(walkAll([writeFrame(ping({ reserved: 4 }))], deflate).violation, "reserved-bits");
    const parts = [fragment({ reserved: 4 }), continuation({ reserved: 4 })];
    const seen = walkAll([bytesOf(parts)], deflate);
    assert.equal(seen.violation, "reserved-bits");
    assert.equal(seen.violationOffset, 11);
  });
});

describe("FrameWalker", () => {
  test("passes RSV1 on first frames once deflate is negotiated", () => {
    const bytes = bytesOf([fragment({ reserved: 4 }), continuation(), frame({ reserved: 4 })]);
    const seen = walkAll([bytes], { ...CLIENT, isDeflateNegotiated: true });
    assert.deepEqual(seen.out, bytes);
  });

  test("tells the code of a close, and 1005 when it has none", () => {
    assert.deepEqual(walkAll([writeFrame(close(closePayload(4321, "grüße")))]).closeCodes, [4321]);
    assert.deepEqual(walkAll([writeFrame(close(Buffer.alloc(0)))]).closeCodes, [1005]);
  });

  test("swallows everything behind a close frame", () => {
    const closing = writeFrame(close(closePayload(1000)));
    const seen = walkAll([Buffer.concat([closing, Buffer.from("GET / HTTP/1.1\r\n")])]);
    assert.deepEqual(seen.out, closing);
    assert.equal(seen.status, WALK.closed);
    assert.equal(seen.violation, undefined);
  });

  test("passes a whole chunk of admitted frames in one run", () => {
    let runs = 0;
    const guard = { judge: () => pass, pass: () => void (runs += 1) };
    const walker = new FrameWalker(guard, CLIENT);
    walker.walk(bytesOf(Array.from({ length: 50 }, () => frame({}))), 0);
    assert.equal(runs, 1);
  });

  test("never passes half a control frame", () => {
    const bytes = writeFrame(ping());
    const seen = walkAll([bytes.subarray(0, bytes.length - 1)]);
    assert.equal(seen.out.length, 0);
    assert.equal(seen.isInsideFrame, false);
  });

  test("tells where the output stands between messages", () => {
    const bytes = writeFrame(fragment());
    const half = walkAll([bytes.subarray(0, 8)]);
    assert.deepEqual([half.isInsideFrame, half.isInsideMessage], [true, true]);
    const between = walkAll([bytes]);
    assert.deepEqual([between.isInsideFrame, between.isInsideMessage], [false, true]);
    const done = walkAll([bytes, writeFrame(continuation())]);
    assert.deepEqual([done.isInsideFrame, done.isInsideMessage], [false, false]);
    const dropped = walkAll([bytes.subarray(0, 8)], CLIENT, () => drop);
    assert.deepEqual([dropped.isInsideFrame, dropped.isInsideMessage], [false, false]);
  });

  test("stops when a later frame of a passed message is dropped, which would corrupt it", () => {
    const bytes = bytesOf([fragment(), continuation()]);
    const seen = walkAll([bytes], CLIENT, (index) => (index === 0 ? pass : drop));
    assert.equal(seen.status, WALK.stopped);
    assert.deepEqual(seen.out, writeFrame(fragment()));
  });

  test("hands on any legal sequence, cut anywhere, byte for byte and frame by frame", () => {
    fc.assert(
      fc.property(legalFrames, cuts, (frames, shares) => {
        const bytes = bytesOf(frames);
        const seen = walkAll(cut(bytes, shares));
        assert.equal(seen.violation, undefined);
        assert.ok(seen.out.equals(bytes));
        assert.deepEqual(
          seen.frames.map(({ opcode, payloadBytes, isFinal }) => ({
            opcode,
            payloadBytes,
            isFinal,
          })),
          frames.map(({ opcode, payload, isFinal }) => ({
            opcode,
            payloadBytes: payload.length,
            isFinal,
          })),
        );
        assert.equal(seen.isInsideMessage, false);
      }),
      { numRuns: 300 },
    );
  });

  test("refuses an illegal sequence at the same byte wherever the cuts fall", () => {
    let refused = 0;
    fc.assert(
      fc.property(spoiltFrames, cuts, fc.boolean(), (frames, shares, isDeflateNegotiated) => {
        const options = {
          ...CLIENT,
          isDeflateNegotiated,
          maxMessageBytes: 66_000,
          maxFragments: 3,
        };
        const bytes = bytesOf(frames);
        const whole = walkAll([bytes], options);
        if (whole.violation !== undefined) refused += 1;
        assert.deepEqual(walkAll(cut(bytes, shares), options), whole);
        if (bytes.length < 2_000) assert.deepEqual(walkAll(cutEverywhere(bytes), options), whole);
        assert.ok(bytes.subarray(0, whole.out.length).equals(whole.out));
      }),
      { numRuns: 500 },
    );
    assert.ok(
      refused > 100,
      `only ${refused} of 500 sequences were refused: the generator is tame`,
    );
  });

  test("lets out exactly the frames of admitted messages, whatever is dropped or held", () => {
    fc.assert(
      fc.property(
        legalFrames,
        cuts,
        fc.infiniteStream(fc.constantFrom(pass, pass, drop)),
        fc.infiniteStream(fc.constantFrom(0, 0, 0, 1, 3)),
        (frames, shares, verdicts, holds) => {
          const wanted: Buffer[] = [];
          const answers: FrameVerdict[] = [];
          let isDropping = false;
          for (const spec of frames) {
            const isControl = spec.opcode >= OPCODE.close;
            const isLater = spec.opcode === OPCODE.continuation;
            if (!(isLater && isDropping)) {
              for (let left = holds.next().value!; left > 0; left -= 1) answers.push(hold);
              const verdict = isLater ? pass : verdicts.next().value!;
              answers.push(verdict);
              if (!isLater && !isControl) isDropping = verdict === drop;
              if (verdict === pass) wanted.push(writeFrame(spec));
            }
          }
          const seen = walkAll(cut(bytesOf(frames), shares), CLIENT, (index) => answers[index]!);
          assert.ok(seen.out.equals(Buffer.concat(wanted)));
          assert.equal(seen.isInsideMessage, false);
        },
      ),
      { numRuns: 300 },
    );
  });

  test("stops before the frame it was told to stop at", () => {
    fc.assert(
      fc.property(legalFrames, cuts, fc.nat(10), (frames, shares, last) => {
        const seen = walkAll(cut(bytesOf(frames), shares), CLIENT, (index) =>
          index < last ? pass : stop,
        );
        assert.ok(seen.out.equals(bytesOf(frames.slice(0, last))));
      }),
      { numRuns: 100 },
    );
  });
});
