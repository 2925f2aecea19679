import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";

/**
 * Finds out that nobody listens on a port, and which one 0 becomes, before several threads listen on it: with
 * a shared port the kernel would let a second gateway of the same user join unnoticed.
 * @throws {Error} when the port is taken
 */
export async function reservePort(port: number, host: string): Promise<number> {
  const server = createServer();
  server.listen({ port, host });
  await once(server, "listening");
  const taken = (server.address() as AddressInfo).port;
  server.close();
  await once(server, "close");
  return taken;
}
