// A `ws` server behind limits, and clients of it, on a clock of the test's own.

import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";
import { WebSocket, WebSocketServer } from "ws";
import { manualClock, systemRandom, type ManualClock, type Random } from "@tidegate/clock";
import {
  webSocketLimits,
  type MessageRefusal,
  type Refusal,
  type WebSocketLimitsOptions,
} from "../src/adapters/ws.ts";

const noJitter: Random = { ...systemRandom, unit: () => 0 };

export interface LimitedServer extends AsyncDisposable {
  readonly clock: ManualClock;
  readonly port: number;
  /** Texts that reached the handler, of all sockets. */
  readonly got: string[];
  readonly sockets: WebSocketServer;
  readonly refused: Refusal[];
  readonly acted: MessageRefusal[];
  readonly faults: unknown[];
  dial(headers?: Record<string, string>): Promise<WebSocket>;
  /** The status that the handshake is refused with. */
  refusedStatus(headers?: Record<string, string>): Promise<number | undefined>;
}

export async function openLimitedServer(
  options: WebSocketLimitsOptions<IncomingMessage>,
): Promise<LimitedServer> {
  const clock = manualClock(5_000);
  const [got, refused, acted, faults] = [
    [] as string[],
    [] as Refusal[],
    [] as MessageRefusal[],
    [] as unknown[],
  ];
  const limits = webSocketLimits<IncomingMessage>({
    clock,
    random: noJitter,
    observeUpgrade: (refusal) => refused.push(refusal),
    observeMessage: (refusal) => acted.push(refusal),
    observeFault: (error) => faults.push(error),
    ...options,
  });
  const sockets = new WebSocketServer({ noServer: true });
  const server = createServer();
  server.on("upgrade", (request, socket, head) => {
    if (!limits.admits(request, socket)) return;
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      webSocket.on("error", () => {});
      limits.serve(webSocket, request, (data) => got.push(String(data)));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const clients: WebSocket[] = [];
  const dial = (headers: Record<string, string> = {}): WebSocket => {
    const client = new WebSocket(`ws://127.0.0.1:${port}`, { headers });
    client.on("error", () => {});
    clients.push(client);
    return client;
  };
  return {
    clock,
    port,
    got,
    sockets,
    refused,
    acted,
    faults,
    async dial(headers) {
      const client = dial(headers);
      await once(client, "open");
      return client;
    },
    async refusedStatus(headers) {
      const client = dial(headers);
      const [, response] = (await once(client, "unexpected-response")) as [
        unknown,
        IncomingMessage,
      ];
      client.terminate();
      return response.statusCode;
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.terminate();
      for (const socket of sockets.clients) socket.terminate();
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** A connection that has shaken hands and speaks frames of its own. */
export async function dialRaw(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  socket.write(
    "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
  );
  await once(socket, "data");
  return socket;
}
