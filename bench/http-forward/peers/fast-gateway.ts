// The peer `fast-gateway`. Arguments: port to listen on, port of the upstream.

import gateway from "fast-gateway";

const [port, upstreamPort] = process.argv.slice(2).map(Number);
await gateway({
  routes: [{ prefix: "", target: `http://127.0.0.1:${upstreamPort}` }],
}).start(port, "127.0.0.1");
console.log("listening");
