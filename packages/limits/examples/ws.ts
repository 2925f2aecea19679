// A `ws` server that says everything back, with limits on connections, messages and bytes.
import { createServer } from "node:http";
import { WebSocketServer, type RawData } from "ws";
import { byAddress, webSocketLimits } from "@tidegate/limits/ws";

const limits = webSocketLimits({
  connections: [
    { kind: "bucket", name: "connects", count: 60, seconds: 60, burst: 20, key: byAddress },
    { kind: "concurrency", name: "sockets", limit: 5, key: byAddress },
  ],
  messages: [
    // Faster than this, and the sender has to wait.
    {
      kind: "bucket",
      name: "pace",
      count: 50,
      seconds: 1,
      burst: 10,
      key: "connection",
      exceed: "delay",
    },
    // All sockets of an address together.
    {
      kind: "bucket",
      name: "bytes",
      count: 1_000_000,
      seconds: 60,
      burst: 100_000,
      key: byAddress,
      counts: "bytes",
      exceed: "close",
    },
    {
      kind: "bucket",
      name: "pings",
      count: 1,
      seconds: 1,
      burst: 10,
      key: "connection",
      counts: "controls",
      exceed: "close",
    },
  ],
});

export const server = createServer((_, response) => response.writeHead(426).end());
const sockets = new WebSocketServer({ noServer: true, maxPayload: 65_536 });

server.on("upgrade", (request, socket, head) => {
  if (!limits.admits(request, socket)) return;
  sockets.handleUpgrade(request, socket, head, (webSocket) => {
    webSocket.on("error", () => webSocket.terminate());
    // In place of `webSocket.on("message", …)`.
    limits.serve(webSocket, request, (data: RawData, isBinary) =>
      webSocket.send(data, { binary: isBinary }),
    );
  });
});
