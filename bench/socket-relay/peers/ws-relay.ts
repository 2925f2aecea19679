// The peer `ws-relay`: what one writes with the `ws` package: a server, a client, and messages handed across.
// Arguments: port to listen on, port of the upstream.

import { WebSocket, WebSocketServer, type RawData } from "ws";

const [port, upstreamPort] = process.argv.slice(2).map(Number);
// What its documentation offers for speed: no compression, and text not checked for UTF-8, which ours does not do either.
const options = { perMessageDeflate: false, maxPayload: 1_048_576, skipUTF8Validation: true };
const server = new WebSocketServer({ ...options, port: Number(port), host: "127.0.0.1" }, () =>
  console.log("listening"),
);
server.on("connection", (client, request) => {
  const upstream = new WebSocket(`ws://127.0.0.1:${upstreamPort}${request.url}`, options);
  const early: { data: RawData; binary: boolean }[] = [];
  client.on("message", (data, binary) => {
    if (upstream.readyState === WebSocket.OPEN) upstream.send(data, { binary });
    else early.push({ data, binary });
  });
  upstream.on("open", () => {
    for (const { data, binary } of early) upstream.send(data, { binary });
  });
  upstream.on("message", (data, binary) => client.send(data, { binary }));
  client.on("close", () => upstream.close());
  upstream.on("close", () => client.close());
  client.on("error", () => upstream.terminate());
  upstream.on("error", () => client.terminate());
});
