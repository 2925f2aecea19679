// The peer `plain-tcp`: what Node's streams cost when nothing at all is looked at.
// Arguments: port to listen on, port of the upstream.

import { connect, createServer } from "node:net";

const [port, upstreamPort] = process.argv.slice(2).map(Number);
createServer({ noDelay: true }, (client) => {
  const upstream = connect({ port: Number(upstreamPort), host: "127.0.0.1", noDelay: true });
  client.on("error", () => upstream.destroy());
  upstream.on("error", () => client.destroy());
  client.pipe(upstream).pipe(client);
}).listen(port, "127.0.0.1", () => console.log("listening"));
