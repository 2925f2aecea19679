import { connect, type Socket } from "node:net";
import { once } from "node:events";
import { ACCEPT, bareFrame, handshake, maskedFrame, MESSAGE_BYTES } from "./frames.ts";

/** Open connections to one contender. */
export interface SocketLoader extends AsyncDisposable {
  /**
   * Sends `messages` over all connections together, on each `batch` at a time: the next batch when the last has come
   * back whole. Message bytes are compared by length here; `check.ts` has compared contents.
   */
  run(messages: number, batch: number): Promise<void>;
}

const PAYLOAD = Buffer.alloc(
  MESSAGE_BYTES,
  "What goes over a live socket is short, and there is much of it. ",
);

/** Opens `connections` sockets through the server at `port`, all accepted. */
export async function openSocketLoader(options: {
  readonly port: number;
  readonly connections: number;
}): Promise<SocketLoader> {
  const sockets = await Promise.all(
    Array.from({ length: options.connections }, () => openSocket(options.port, "/live")),
  );
  return {
    async run(messages, batch) {
      const perSocket = messages / sockets.length / batch;
      if (!Number.isInteger(perSocket)) throw new Error("Cannot split the messages evenly");
      const request = Buffer.concat(
        Array.from({ length: batch }, () => maskedFrame({ opcode: 1, payload: PAYLOAD })),
      );
      const answerBytes = batch * bareFrame({ opcode: 1, payload: PAYLOAD }).length;
      await Promise.all(
        sockets.map((socket) => pump(socket, { request, answerBytes, times: perSocket })),
      );
    },
    async [Symbol.asyncDispose]() {
      const closed = sockets.map(async (socket) => {
        if (!socket.closed) await once(socket, "close");
      });
      // A close frame without a code, as polite clients send it, then the end.
      for (const socket of sockets) socket.end(Buffer.of(0x88, 0x80, 0, 0, 0, 0));
      await Promise.all(closed);
    },
  };
}

/** A socket through the server at `port` whose handshake was accepted; no frame was sent. */
export async function openSocket(port: number, path: string): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  socket.on("error", () => undefined);
  await once(socket, "connect");
  socket.write(handshake(path));
  let head = "";
  while (!head.includes("\r\n\r\n")) {
    const [chunk] = await once(socket, "data", { signal: AbortSignal.timeout(5_000) });
    head += String(chunk);
  }
  if (!head.startsWith("HTTP/1.1 101 ") || !head.includes(ACCEPT)) {
    throw new Error(`Cannot open a socket at ${port}: ${head}`);
  }
  return socket;
}

async function pump(
  socket: Socket,
  { request, answerBytes, times }: { request: Buffer; answerBytes: number; times: number },
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let leftTimes = times;
  let leftBytes = answerBytes;
  const onData = (chunk: Buffer): void => {
    leftBytes -= chunk.length;
    if (leftBytes > 0) return;
    if (leftBytes < 0) reject(new Error("More came back than was sent"));
    leftBytes = answerBytes;
    leftTimes -= 1;
    if (leftTimes === 0) resolve();
    else socket.write(request);
  };
  const onClose = (): void => reject(new Error("The connection ended under load"));
  socket.on("data", onData);
  socket.on("close", onClose);
  socket.write(request);
  await promise;
  socket.off("data", onData);
  socket.off("close", onClose);
  // `off` of the last listener pauses; the end must still be seen.
  socket.resume();
}
