/**
 * Every way in which bytes fail to be WebSocket frames, and the close code that RFC 6455 §7.4.1 gives for it.
 * The names are for logs and metrics.
 */
export const VIOLATIONS = {
  /** §5.2: a reserved bit that no negotiated extension gave a meaning on this frame. */
  "reserved-bits": 1002,
  /** §5.2: opcodes 3–7 and 11–15. */
  "reserved-opcode": 1002,
  /** §5.4: a continuation with nothing to continue. */
  "nothing-to-continue": 1002,
  /** §5.4: a new message inside an unfinished one. */
  "interleaved-message": 1002,
  /** §5.5: control frames must not be fragmented. */
  "fragmented-control": 1002,
  /** §5.5: control frames carry at most 125 bytes. */
  "long-control": 1002,
  /** §5.1: every frame of a client is masked. An unmasked one lets a page choose the bytes that proxies see. */
  "mask-missing": 1002,
  /** §5.1: no frame of a server is masked. */
  "mask-present": 1002,
  /** §5.2: the shortest form of the length must be used. A longer one reads differently in careless parsers. */
  "length-not-minimal": 1002,
  /** §5.2: the top bit of the 64-bit length must be 0. */
  "length-negative": 1002,
  /** §5.5.1: a close payload of one byte has half a code. */
  "close-payload": 1002,
  /** §7.4: 1005, 1006 and 1015 never go over the wire; 0–999, 1004, 1016–2999 and 5000 up mean nothing. */
  "close-code": 1002,
  /** §5.5.1: the reason of a close is UTF-8. */
  "close-reason": 1007,
  /** Our own bound on the payload of one message over all its frames. */
  "message-too-big": 1009,
  /** Our own bound on the frames of one message (fragment flood: each costs its reader more than its sender). */
  "too-many-fragments": 1009,
} as const;
export type Violation = keyof typeof VIOLATIONS;
