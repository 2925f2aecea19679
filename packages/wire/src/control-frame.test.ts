import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { toCloseReason } from "./close-reason.ts";
import { encodeClose, encodePing } from "./control-frame.ts";
import { FRAME_VERDICT, FrameWalker, type FrameWalkerOptions } from "./frame-walker.ts";

const walk = (bytes: Buffer, from: FrameWalkerOptions["from"]) => {
  const payloads: Buffer[] = [];
  const walker = new FrameWalker(
    {
      judge(frame) {
        payloads.push(Buffer.from(frame.controlPayload.subarray(0, frame.payloadBytes)));
        return FRAME_VERDICT.pass;
      },
      pass() {},
    },
    { from, isDeflateNegotiated: false, maxMessageBytes: 1, maxFragments: 1 },
  );
  walker.walk(bytes, 0);
  assert.equal(walker.violation, undefined);
  return { payloads, walker };
};

describe("encodeClose()", () => {
  test("refuses a reason that no frame can carry", () => {
    assert.throws(() => encodeClose({ code: 4400, reason: "x".repeat(124) }), /125 bytes/);
  });

  test("writes an unmasked frame as a server and a masked one as a client", () => {
    const closing = { code: 4429, reason: "limit;retryAfter=3" };
    const asServer = encodeClose(closing);
    assert.deepEqual(asServer.subarray(0, 4), Buffer.of(0x88, 20, 4429 >> 8, 4429 & 0xff));
    const mask = Buffer.of(1, 2, 3, 4);
    const asClient = encodeClose(closing, mask);
    for (const [frame, from] of [
      [asServer, "server"],
      [asClient, "client"],
    ] as const) {
      const { payloads, walker } = walk(frame, from);
      assert.equal(walker.closeCode, 4429);
      assert.equal(payloads[0]?.toString("latin1", 2), closing.reason);
    }
  });
});

test("encodePing() writes a frame with the given payload", () => {
  assert.deepEqual(encodePing(Buffer.from("tide")), Buffer.from("\x89\x04tide", "latin1"));
});

describe("toCloseReason()", () => {
  test("refuses text that could be read as further facts, or is too long", () => {
    assert.throws(() => toCloseReason("limit", { who: "a;b=c" }));
    assert.throws(() => toCloseReason("two words"));
    assert.throws(() => toCloseReason("x".repeat(124)), /123 bytes/);
  });

  test("writes a word and its facts", () => {
    assert.equal(toCloseReason("draining", { retryAfter: 2 }), "draining;retryAfter=2");
    assert.equal(toCloseReason("gone"), "gone");
  });
});
