import assert from "node:assert/strict";
import { MAX_CONTROL_PAYLOAD_BYTES, OPCODE } from "./opcode.ts";

/** Two bytes of a control frame's payload are the close code; the rest may be the reason. */
export const MAX_CLOSE_REASON_BYTES = MAX_CONTROL_PAYLOAD_BYTES - 2;

/**
 * A whole close frame. `mask` (4 fresh random bytes) is given when we speak as a client, towards an upstream,
 * and left out when we speak as a server (RFC 6455 §5.1).
 *
 * @param closing `reason` of at most 123 bytes of UTF-8
 */
export function encodeClose(
  closing: { readonly code: number; readonly reason: string },
  mask?: Uint8Array,
): Buffer {
  const payload = Buffer.allocUnsafe(2 + Buffer.byteLength(closing.reason));
  payload.writeUInt16BE(closing.code, 0);
  payload.write(closing.reason, 2);
  return encodeControl({ opcode: OPCODE.close, payload }, mask);
}

/** A whole ping frame; `mask` as in `encodeClose`. */
export function encodePing(payload: Uint8Array, mask?: Uint8Array): Buffer {
  return encodeControl({ opcode: OPCODE.ping, payload }, mask);
}

function encodeControl(
  { opcode, payload }: { readonly opcode: number; readonly payload: Uint8Array },
  mask: Uint8Array | undefined,
): Buffer {
  assert.ok(payload.length <= MAX_CONTROL_PAYLOAD_BYTES, "control payload of at most 125 bytes");
  const head = mask === undefined ? 2 : 6;
  const frame = Buffer.allocUnsafe(head + payload.length);
  frame[0] = 0x80 | opcode;
  frame[1] = (mask === undefined ? 0 : 0x80) | payload.length;
  frame.set(payload, head);
  if (mask !== undefined) {
    assert.equal(mask.length, 4, "mask of 4 bytes");
    frame.set(mask, 2);
    for (let at = 0; at < payload.length; at += 1) frame[head + at]! ^= mask[at & 3]!;
  }
  return frame;
}
