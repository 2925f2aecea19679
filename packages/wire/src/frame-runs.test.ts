import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { FRAME_VERDICT, FrameWalker, WALK, type FrameVerdict } from "./frame-walker.ts";
import { cut, cuts, frame, legalFrames, spoiltFrames, writeFrame } from "./frames.arbitrary.ts";
import { OPCODE } from "./opcode.ts";

const { pass, drop, hold, stop } = FRAME_VERDICT;

test("FrameWalker judges runs of messages as it judges one after the other", () => {
  let runs = 0;
  const plain = fc
    .tuple(fc.constantFrom(OPCODE.text, OPCODE.binary), fc.constantFrom(0, 1, 5, 125, 126, 400))
    .map(([opcode, length]) => frame({ opcode, payload: Buffer.alloc(length, "x") }));
  const sequences = fc
    .tuple(fc.array(plain), fc.oneof(legalFrames, spoiltFrames), fc.array(plain))
    .map((parts) => parts.flat());
  fc.assert(
    fc.property(
      sequences,
      cuts,
      fc.array(
        fc.oneof({ weight: 9, arbitrary: fc.constant(pass) }, fc.constantFrom(drop, hold, stop)),
      ),
      fc.boolean(),
      (frames, shares, verdicts, isDeflateNegotiated) => {
        const walk = (isInRuns: boolean) => {
          let asked = 0;
          const seen = { messages: 0, payloadBytes: 0 };
          const answer = (index: number): FrameVerdict => verdicts[index] ?? pass;
          const out: Buffer[] = [];
          const walker = new FrameWalker(
            {
              judge({ isFirst, payloadBytes }) {
                const verdict = answer(asked);
                asked += 1;
                if (verdict === pass) {
                  seen.messages += isFirst ? 1 : 0;
                  seen.payloadBytes += payloadBytes;
                }
                return verdict;
              },
              ...(isInRuns && {
                judgeRun(opcode: number, messages: number, payloadBytes: number) {
                  assert.ok(opcode === OPCODE.text || opcode === OPCODE.binary);
                  assert.ok(messages >= 2);
                  for (let next = 0; next < messages; next += 1)
                    if (answer(asked + next) !== pass) return false;
                  runs += 1;
                  asked += messages;
                  seen.messages += messages;
                  seen.payloadBytes += payloadBytes;
                  return true;
                },
              }),
              pass: (bytes, from, to) => void out.push(Buffer.from(bytes.subarray(from, to))),
            },
            { from: "client", isDeflateNegotiated, maxMessageBytes: 300, maxFragments: 3 },
          );
          for (const chunk of cut(Buffer.concat(frames.map(writeFrame)), shares)) {
            let at = walker.walk(chunk, 0);
            while (walker.status === WALK.held) at = walker.walk(chunk, at);
          }
          const { status, violation, violationOffset, isInsideFrame, isInsideMessage } = walker;
          const stood = { status, violation, violationOffset, isInsideFrame, isInsideMessage };
          return { ...stood, ...seen, out: Buffer.concat(out) };
        };
        assert.deepEqual(walk(true), walk(false));
      },
    ),
    { numRuns: 500 },
  );
  assert.ok(runs > 200, `only ${runs} runs: the generator is tame`);
});
