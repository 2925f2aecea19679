// What stands behind every contender: a raw-socket server that accepts every handshake and sends every data frame
// back bare. It makes one write per chunk and keeps nothing, so that it costs less than what is measured. It trusts
// its client to write legal frames. Prints `listening <port>`.

import { createHash } from "node:crypto";
import { createServer, type Socket } from "node:net";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

const server = createServer({ noDelay: true }, (socket) => {
  socket.on("error", () => undefined);
  let head = "";
  const onHead = (chunk: Buffer): void => {
    head += chunk.toString("latin1");
    if (!head.includes("\r\n\r\n")) return;
    const key = /^sec-websocket-key: (\S+)/im.exec(head)?.[1] ?? "";
    const accept = createHash("sha1")
      .update(key + GUID)
      .digest("base64");
    socket.write(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
        `Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    socket.off("data", onHead);
    echo(socket);
  };
  socket.on("data", onHead);
});
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  if (address !== null && typeof address === "object") console.log(`listening ${address.port}`);
});

function echo(socket: Socket): void {
  let rest: Buffer = Buffer.alloc(0);
  socket.on("end", () => socket.end());
  socket.on("data", (chunk: Buffer) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const out = Buffer.allocUnsafe(bytes.length);
    let at = 0;
    let written = 0;
    for (;;) {
      const frame = readFrame(bytes, at);
      if (frame === undefined) break;
      if ((bytes[at]! & 0x0f) === 8) {
        socket.end(Buffer.of(0x88, 0));
        return;
      }
      written += writeBare(bytes, at, frame, out, written);
      at = frame.payloadAt + frame.length;
    }
    rest = bytes.subarray(at);
    if (written > 0) socket.write(out.subarray(0, written));
  });
}

interface Frame {
  readonly payloadAt: number;
  readonly length: number;
}

function readFrame(bytes: Buffer, at: number): Frame | undefined {
  const left = bytes.length - at;
  if (left < 6) return undefined;
  let length = bytes[at + 1]! & 0x7f;
  let head = 6;
  if (length === 126) {
    if (left < 8) return undefined;
    length = bytes.readUInt16BE(at + 2);
    head = 8;
  } else if (length === 127) {
    if (left < 14) return undefined;
    length = bytes.readUIntBE(at + 4, 6);
    head = 14;
  }
  return left < head + length ? undefined : { payloadAt: at + head, length };
}

/** @returns bytes written: the same frame without mask bit, mask and masking */
function writeBare(bytes: Buffer, at: number, frame: Frame, out: Buffer, to: number): number {
  const headBytes = frame.payloadAt - at - 4;
  bytes.copy(out, to, at, at + headBytes);
  out[to + 1]! &= 0x7f;
  const { payloadAt, length } = frame;
  for (let index = 0; index < length; index += 1) {
    out[to + headBytes + index] = bytes[payloadAt + index]! ^ bytes[payloadAt - 4 + (index & 3)]!;
  }
  return headBytes + length;
}
