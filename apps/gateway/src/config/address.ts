import { isIP } from "node:net";
import { z } from "zod";

/** What a listener binds to: an IP address, or a host name that the machine resolves. */
export const listenHost = z
  .string()
  .refine((text) => isIP(text) !== 0 || HOST_NAME.test(text), "is not an address or a host name")
  .meta({ rule: "an IP address or a host name, without port" });

/** A name as it stands in `Host`, without its port. */
export const hostName = z
  .string()
  .refine((text) => HOST_NAME.test(text) || isBracketedIpv6(text), "is not a host name")
  .meta({ rule: "a lower-case host name or an IP address (IPv6 in brackets), without port" });

/** A range of addresses. A lone address is a range of one. */
export const addressRange = z
  .string()
  .refine(isAddressRange, "is not a range of addresses")
  .meta({ rule: "a CIDR range such as `10.0.0.0/8` or `fd00::/8`, or one address" });

// RFC 1123 §2.1 with the length bound of RFC 1035 §2.3.4; IPv4 addresses match too.
const HOST_NAME =
  /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/;

/** Whether only this machine can reach a listener bound to `host`. Names other than `localhost` are not believed. */
export function isLoopback(host: string): boolean {
  const bare = host.startsWith("[") && host.endsWith("]") ? host.slice(1, -1) : host;
  if (bare === "localhost" || bare === "::1") return true;
  return isIP(bare) === 4 && bare.startsWith("127.");
}

function isBracketedIpv6(text: string): boolean {
  return text.startsWith("[") && text.endsWith("]") && isIP(text.slice(1, -1)) === 6;
}

function isAddressRange(text: string): boolean {
  const [address = "", prefix, ...rest] = text.split("/");
  const family = isIP(address);
  if (family === 0 || address.includes("%") || rest.length > 0) return false;
  if (prefix === undefined) return true;
  return /^(?:0|[1-9]\d{0,2})$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128);
}
