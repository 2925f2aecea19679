/** What a WebSocket client of the bench sends, and what must come back. */
export interface TestFrame {
  readonly opcode: 1 | 2;
  readonly payload: Buffer;
}

/** Payload of the measured messages, bytes. */
export const MESSAGE_BYTES = 100;

/** A client's frame: masked, by a key that is not zero, so that whoever unmasks has work. */
export function maskedFrame({ opcode, payload }: TestFrame): Buffer {
  const head = headOf(opcode, payload.length, 0x80);
  return Buffer.concat([head, MASK, payload.map((byte, at) => byte ^ (MASK[at & 3] ?? 0))]);
}

/** A server's frame. */
export function bareFrame({ opcode, payload }: TestFrame): Buffer {
  return Buffer.concat([headOf(opcode, payload.length, 0), payload]);
}

const MASK = Buffer.of(0x37, 0xfa, 0x21, 0x3d);

function headOf(opcode: number, length: number, maskBit: number): Buffer {
  const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
  head[0] = 0x80 | opcode;
  head[1] = maskBit | (length < 126 ? length : length < 65_536 ? 126 : 127);
  if (head.length === 4) head.writeUInt16BE(length, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2);
  return head;
}

/** One upgrade request. The key is the example of RFC 6455 §1.3. */
export const handshake = (path: string): string =>
  `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/** What belongs to that key. */
export const ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
