// The peer `fastify-http-proxy`: without a logger, its pool as its documentation sets it.
// Arguments: port to listen on, port of the upstream.

import proxy from "@fastify/http-proxy";
import Fastify from "fastify";

const [port, upstreamPort] = process.argv.slice(2).map(Number);
const server = Fastify({ logger: false });
await server.register(proxy, {
  upstream: `http://127.0.0.1:${upstreamPort}`,
  undici: { connections: 256, pipelining: 1 },
});
await server.listen({ port: port ?? 0, host: "127.0.0.1" });
console.log("listening");
