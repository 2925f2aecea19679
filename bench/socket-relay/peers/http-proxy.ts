// The peer `http-proxy`: its WebSocket tunnel, as its documentation shows it.
// Arguments: port to listen on, port of the upstream.

import { createServer } from "node:http";
import httpProxy from "http-proxy";

const [port, upstreamPort] = process.argv.slice(2).map(Number);
const proxy = httpProxy.createProxyServer({ target: `http://127.0.0.1:${upstreamPort}`, ws: true });
proxy.on("error", () => undefined);
createServer((_request, response) => response.writeHead(404).end())
  .on("upgrade", (request, socket, head) => proxy.ws(request, socket, head))
  .listen(port, "127.0.0.1", () => console.log("listening"));
