// A small HTTP and WebSocket server that records what reached it and answers as the test says.

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { once } from "node:events";
import { WebSocketServer, type WebSocket } from "ws";
import { waitFor } from "./wait-for.ts";

export interface RecordedRequest {
  readonly method: string;
  /** The request target as it came. */
  readonly target: string;
  readonly httpVersion: string;
  /** Names and values as they came, in order, duplicates included. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** All values of a field, compared without case. */
  values(name: string): string[];
  /** What has arrived of the body so far. */
  body(): Buffer;
  /** Trailers, once the request is complete. */
  trailers(): readonly (readonly [name: string, value: string])[];
  /** `whole` once the end of the request arrived, `cut` when the connection went away before. */
  state(): "arriving" | "whole" | "cut";
  /** The same number for requests that came over the same connection; the first connection is 0. */
  readonly connection: number;
  readonly message: IncomingMessage;
}

export interface Upstream extends AsyncDisposable {
  readonly port: number;
  /** Such as `http://127.0.0.1:4711`. */
  readonly url: string;
  /** Everything that reached the server, upgrades included, in order of arrival. */
  readonly requests: readonly RecordedRequest[];
  /** Sockets accepted so far, in order. */
  readonly webSockets: readonly WebSocket[];
  /** TCP connections that are open now. */
  openConnections(): number;
  /** Waits until request number `index` (0 is the first) is there; whole too when `isWhole`. */
  requestAt(
    index: number,
    options?: { isWhole?: boolean; deadlineMs?: number },
  ): Promise<RecordedRequest>;
  webSocketAt(index: number, options?: { deadlineMs?: number }): Promise<WebSocket>;
  /** Stops listening and cuts every connection, as a crash would. Safe to call again. */
  crash(): Promise<void>;
}

export interface UpstreamScript {
  /**
   * Answers a request; called when its head is there. Without it, once the request is whole: 200 and a JSON body with
   * method, target and body length. Raw bytes go through `response.socket`.
   */
  readonly onRequest?: (request: RecordedRequest, response: ServerResponse) => void | Promise<void>;
  /** Has an accepted WebSocket. Without it, it echoes. */
  readonly onWebSocket?: (socket: WebSocket, request: RecordedRequest) => void;
  /** Handles the upgrade itself, byte by byte, in place of accepting it. */
  readonly onUpgrade?: (request: RecordedRequest, socket: Duplex, head: Buffer) => void;
  /** The subprotocol to choose; without it, the first that is offered. */
  readonly chooseProtocol?: (offered: Set<string>) => string | false;
  /** Offers permessage-deflate. */
  readonly isCompressing?: boolean;
}

/** Starts the server on a free port of 127.0.0.1. */
export async function startUpstream(script: UpstreamScript = {}): Promise<Upstream> {
  const requests: RecordedRequest[] = [];
  const webSockets: WebSocket[] = [];
  const connections = new Map<Duplex, number>();
  let connectionCount = 0;
  const accepter = new WebSocketServer({
    noServer: true,
    perMessageDeflate: script.isCompressing ?? false,
    maxPayload: 64 * 1024 * 1024,
    ...(script.chooseProtocol ? { handleProtocols: script.chooseProtocol } : {}),
  });
  const server = createServer({ requestTimeout: 0, keepAliveTimeout: 60_000 });
  server.on("connection", (socket) => {
    connections.set(socket, connectionCount++);
    socket.on("close", () => connections.delete(socket));
    socket.on("error", () => undefined);
  });
  const recordOne = (message: IncomingMessage): RecordedRequest => {
    const recorded = record(message, connections.get(message.socket) ?? -1);
    requests.push(recorded);
    return recorded;
  };
  server.on("request", (message, response) => {
    const recorded = recordOne(message);
    if (script.onRequest) {
      // A script that throws has to be seen: it fails the test file.
      void Promise.resolve(script.onRequest(recorded, response));
    } else {
      message.on("end", () => answerPlainly(recorded, response));
    }
  });
  server.on("upgrade", (message: IncomingMessage, socket: Duplex, head: Buffer) => {
    const recorded = recordOne(message);
    if (script.onUpgrade) {
      script.onUpgrade(recorded, socket, head);
      return;
    }
    accepter.handleUpgrade(message, socket, head, (webSocket) => {
      webSockets.push(webSocket);
      webSocket.on("error", () => undefined);
      if (script.onWebSocket) script.onWebSocket(webSocket, recorded);
      else webSocket.on("message", (data, isBinary) => webSocket.send(data, { binary: isBinary }));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string")
    throw new Error("Cannot listen on 127.0.0.1");

  const crash = async (): Promise<void> => {
    for (const socket of connections.keys()) socket.destroy();
    if (!server.listening) return;
    server.close();
    await once(server, "close");
  };
  return {
    port: address.port,
    url: `http://127.0.0.1:${address.port}`,
    requests,
    webSockets,
    openConnections: () => connections.size,
    async requestAt(index, { isWhole = false, deadlineMs = 5_000 } = {}) {
      const found = await waitFor(() => requests[index], {
        what: `request number ${index} at the upstream`,
        deadlineMs,
      });
      if (isWhole) {
        await waitFor(() => found.state() === "whole", {
          what: `the end of request number ${index} at the upstream`,
          deadlineMs,
        });
      }
      return found;
    },
    webSocketAt: (index, { deadlineMs = 5_000 } = {}) =>
      waitFor(() => webSockets[index], {
        what: `WebSocket number ${index} at the upstream`,
        deadlineMs,
      }),
    crash,
    [Symbol.asyncDispose]: crash,
  };
}

function record(message: IncomingMessage, connection: number): RecordedRequest {
  const chunks: Buffer[] = [];
  const fields = toPairs(message.rawHeaders);
  message.on("data", (chunk: Buffer) => void chunks.push(chunk));
  message.on("error", () => undefined);
  return {
    method: message.method ?? "",
    target: message.url ?? "",
    httpVersion: message.httpVersion,
    fields,
    values: (name) =>
      fields.filter(([one]) => one.toLowerCase() === name.toLowerCase()).map(([, value]) => value),
    body: () => Buffer.concat(chunks),
    trailers: () => toPairs(message.rawTrailers),
    state: () => (message.complete ? "whole" : message.destroyed ? "cut" : "arriving"),
    connection,
    message,
  };
}

function answerPlainly(request: RecordedRequest, response: ServerResponse): void {
  const { method, target } = request;
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify({ method, target, bodyBytes: request.body().length }));
}

function toPairs(raw: readonly string[]): (readonly [string, string])[] {
  return Array.from({ length: raw.length / 2 }, (_, at) => [
    raw[2 * at] ?? "",
    raw[2 * at + 1] ?? "",
  ]);
}
