import { createServer } from "node:net";
import { once } from "node:events";

/**
 * A port of 127.0.0.1 that was free a moment ago, for programs that cannot listen on port 0 themselves. Another process
 * may take it first: whoever uses it starts again with a new one then.
 */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string")
    throw new Error("Cannot listen on 127.0.0.1");
  server.close();
  await once(server, "close");
  return address.port;
}
