import { isIP } from "node:net";

/**
 * Which names the admin listener answers to: the loopback names and the address it was told to listen on.
 * A page in a browser can point a name of its own at 127.0.0.1 (DNS rebinding) and would then read the answer as
 * its own origin; but it cannot make the browser send another Host than that name.
 *
 * @param listenHost the configured address or name
 * @returns whether the Host field's value, with or without a port, is one of them
 */
export function createHostCheck(listenHost: string): (hostField: string) => boolean {
  const names = new Set(["localhost", "127.0.0.1", "::1"]);
  // "All addresses" is no name that anybody could mean.
  if (listenHost !== "0.0.0.0" && listenHost !== "::") names.add(listenHost.toLowerCase());
  return (hostField) => {
    const name = hostName(hostField);
    return name !== undefined && names.has(name);
  };
}

// RFC 9110 §7.2: uri-host [":" port]. An IPv6 address stands in brackets.
const HOST_FIELD = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::[0-9]{1,5})?$/;

function hostName(hostField: string): string | undefined {
  const parts = HOST_FIELD.exec(hostField);
  if (parts === null) return undefined;
  const [, bracketed, plain] = parts;
  if (bracketed !== undefined) return isIP(bracketed) === 6 ? bracketed.toLowerCase() : undefined;
  return plain?.toLowerCase();
}
