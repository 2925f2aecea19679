/** RFC 6455 §5.2: what a frame is. Everything else is reserved and refused. */
export const OPCODE = {
  continuation: 0x0,
  text: 0x1,
  binary: 0x2,
  close: 0x8,
  ping: 0x9,
  pong: 0xa,
} as const;
export type Opcode = (typeof OPCODE)[keyof typeof OPCODE];

/** RFC 6455 §5.5: payload of a close, ping or pong frame, at most. */
export const MAX_CONTROL_PAYLOAD_BYTES = 125;

/** Two bytes, eight of extended length, four of mask. */
export const MAX_HEADER_BYTES = 14;
