import { isIPv4, isIPv6 } from "node:net";

/** Leading bits of an IPv6 address that count as one caller. Providers hand out /64 to /48, so limits at several of them are worth having. */
export type Ipv6Prefix = 48 | 56 | 64;

/**
 * Names whoever speaks from this address, in one form only.
 *
 * An IPv6 caller owns at least a /64 and can change address with every request, so the prefix is the caller.
 * IPv4-mapped addresses (`::ffff:192.0.2.1`, also in hexadecimal) are IPv4: as IPv6 they would all fall into one prefix (one caller
 * blocks the IPv4 internet, CVE-2026-30827), and two forms of one address would be two budgets.
 * A zone (`%eth0`) says which link, not who, and is dropped.
 *
 * @returns such as `192.0.2.1` or `2001:db8:0:7/64`; undefined when the text is no address
 */
export function addressKey(address: string, ipv6Prefix: Ipv6Prefix = 64): string | undefined {
  // The longest address with an embedded IPv4 has 45 characters; the zone is not bounded by any rule.
  if (address.length > 100) return undefined;
  if (isIPv4(address)) return address;
  if (!isIPv6(address)) return undefined;
  const groups = toGroups(address);
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return [groups[6]! >> 8, groups[6]! & 0xff, groups[7]! >> 8, groups[7]! & 0xff].join(".");
  }
  const kept = groups.slice(0, Math.ceil(ipv6Prefix / 16));
  if (ipv6Prefix === 56) kept[3]! &= 0xff00;
  return `${kept.map((group) => group.toString(16)).join(":")}/${ipv6Prefix}`;
}

/** The eight 16-bit groups of a valid IPv6 address (RFC 4291 §2.2). */
function toGroups(address: string): number[] {
  const [text = ""] = address.split("%");
  const [left = "", right] = text.split("::");
  const front = parseGroups(left);
  if (right === undefined) return front;
  const back = parseGroups(right);
  const zeros = Array.from({ length: 8 - front.length - back.length }, () => 0);
  return [...front, ...zeros, ...back];
}

function parseGroups(text: string): number[] {
  if (text === "") return [];
  return text.split(":").flatMap((group) => {
    if (!group.includes(".")) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split(".").map(Number);
    return [(a << 8) | b, (c << 8) | d];
  });
}
