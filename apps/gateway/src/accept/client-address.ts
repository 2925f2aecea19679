import { BlockList, isIP, isIPv6, SocketAddress } from "node:net";

/**
 * Who is calling when proxies stand in front: the right-most address of X-Forwarded-For that is not a
 * configured proxy. Everything left of it was written by strangers and is never believed.
 */
export interface ClientAddress {
  /** @param peer canonical address of the connection @param forwardedFor the joined X-Forwarded-For values */
  resolve(peer: string, forwardedFor: string | undefined): string;
  /** Whether the connection itself comes from a configured proxy. */
  isTrusted(peer: string): boolean;
}

/** @param trustedProxies CIDR ranges or single addresses, checked by the configuration */
export function createClientAddress(trustedProxies: readonly string[]): ClientAddress {
  const proxies = new BlockList();
  for (const range of trustedProxies) addRange(proxies, range);
  const isTrusted = (address: string): boolean =>
    trustedProxies.length > 0 && proxies.check(address, isIPv6(address) ? "ipv6" : "ipv4");
  return {
    isTrusted,
    resolve(peer, forwardedFor) {
      if (forwardedFor === undefined || !isTrusted(peer)) return peer;
      const hops = forwardedFor.split(",");
      let client = peer;
      // Bounded by the field's size. An entry that is no address ends the walk: what is left of it is unknown.
      for (let at = hops.length - 1; at >= 0 && isTrusted(client); at--) {
        const address = toAddress((hops[at] as string).trim());
        if (address === undefined) break;
        client = address;
      }
      return client;
    },
  };
}

/** IPv4-mapped IPv6 written as IPv4, and IPv6 in its one short form (RFC 5952), so that one machine is never two callers. */
export function toCanonicalAddress(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  const bare = mapped?.[1] ?? address;
  const zone = bare.indexOf("%");
  const text = (zone < 0 ? bare : bare.slice(0, zone)).toLowerCase();
  return isIPv6(text) ? new SocketAddress({ address: text, family: "ipv6" }).address : text;
}

function toAddress(text: string): string | undefined {
  const bracketed = /^\[([^\]]+)\](?::\d+)?$/.exec(text)?.[1];
  const withoutPort = bracketed ?? text.replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, "$1");
  return isIP(withoutPort) === 0 ? undefined : toCanonicalAddress(withoutPort);
}

function addRange(list: BlockList, range: string): void {
  const [address = "", prefix] = range.split("/");
  const family = isIPv6(address) ? "ipv6" : "ipv4";
  list.addSubnet(
    address,
    prefix === undefined ? (family === "ipv6" ? 128 : 32) : Number(prefix),
    family,
  );
}
