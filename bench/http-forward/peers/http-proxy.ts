// The peer `http-proxy`: with a keep-alive agent, as its documentation asks for under load.
// Arguments: port to listen on, port of the upstream.

import { Agent, createServer } from "node:http";
import httpProxy from "http-proxy";

const [port, upstreamPort] = process.argv.slice(2).map(Number);
const proxy = httpProxy.createProxyServer({
  target: `http://127.0.0.1:${upstreamPort}`,
  agent: new Agent({ keepAlive: true, maxSockets: 256 }),
});
proxy.on("error", (_error, _request, response) => {
  if ("writeHead" in response) response.writeHead(502);
  response.end();
});
createServer((request, response) => proxy.web(request, response)).listen(port, "127.0.0.1", () =>
  console.log("listening"),
);
