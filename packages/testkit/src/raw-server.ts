// A TCP server that answers exactly the bytes it is told, for upstreams that misbehave.

import { createServer, type Socket } from "node:net";
import { once } from "node:events";
import { waitFor } from "./wait-for.ts";

export interface RawServer extends AsyncDisposable {
  readonly port: number;
  /** Such as `http://127.0.0.1:4711`. */
  readonly url: string;
  /** Connections so far, also closed ones, in order of arrival. */
  readonly sockets: readonly Socket[];
  /** What has arrived on the connection of that number (0 is the first). */
  received(index: number): Buffer;
  /** Waits for the connection of that number. */
  socketAt(index: number, options?: { readonly deadlineMs?: number }): Promise<Socket>;
}

/**
 * Listens on a free port of 127.0.0.1 and leaves every byte to `onConnection`.
 * `received()` grows as the peer sends, until `onConnection` pauses or takes over the socket.
 */
export async function startRawServer(
  onConnection: (socket: Socket, index: number) => void = () => undefined,
): Promise<RawServer> {
  const sockets: Socket[] = [];
  const chunks: Buffer[][] = [];
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const index = sockets.push(socket) - 1;
    const mine: Buffer[] = [];
    chunks[index] = mine;
    socket.on("data", (chunk: Buffer) => void mine.push(chunk));
    // The peer's resets are what such tests are about; their own assertions see them.
    socket.on("error", () => undefined);
    onConnection(socket, index);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string")
    throw new Error("Cannot listen on 127.0.0.1");
  return {
    port: address.port,
    url: `http://127.0.0.1:${address.port}`,
    sockets,
    received: (index) => Buffer.concat(chunks[index] ?? []),
    socketAt: (index, { deadlineMs } = {}) =>
      waitFor(() => sockets[index], {
        what: `connection number ${index} at the raw server`,
        ...(deadlineMs === undefined ? {} : { deadlineMs }),
      }),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      if (!server.listening) return;
      server.close();
      await once(server, "close");
    },
  };
}
