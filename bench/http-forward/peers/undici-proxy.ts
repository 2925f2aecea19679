// The peer `undici-proxy`: node:http in front of undici's pool, streaming by `pool.stream`, its leanest documented way.
// It checks nothing, limits nothing and writes nothing. Arguments: port to listen on, port of the upstream.

import { createServer } from "node:http";
import { Pool } from "undici";

const [port, upstreamPort] = process.argv.slice(2).map(Number);
const pool = new Pool(`http://127.0.0.1:${upstreamPort}`, { connections: 256, pipelining: 1 });
createServer((request, response) => {
  const { connection: _connection, host: _host, ...headers } = request.headers;
  const hasBody = request.method !== "GET" && request.method !== "HEAD";
  pool
    .stream(
      {
        path: request.url ?? "/",
        method: request.method ?? "GET",
        headers,
        body: hasBody ? request : null,
      },
      (answer) => {
        response.writeHead(answer.statusCode, answer.headers);
        return response;
      },
    )
    .catch(() => {
      if (!response.headersSent) response.writeHead(502);
      response.end();
    });
}).listen(port, "127.0.0.1", () => console.log("listening"));
