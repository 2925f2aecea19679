import { createHash } from "node:crypto";
import { BASIC_ACR, type Principal } from "@tidegate/auth";

/**
 * Who is penalised: what the caller proved, never what a request merely names. So nobody can be boxed by somebody
 * else who knows their name.
 */
export interface PenaltyKey {
  /** Who pays for it afterwards: persons sign in again; the others are free, or suspended until released. */
  readonly kind: PenaltyKind;
  /** As exact as the proof is. Readable, and unambiguous whatever is in its parts: a JSON array. */
  readonly narrow: string;
  /**
   * What also holds the caller: the person without the client, which the third strike boxes; for an address the network
   * around it, which is boxed only when there is no room for more addresses. Empty when there is nothing wider.
   */
  readonly wide: string;
}

export type PenaltyKind = "person" | "key" | "client" | "address";

/** @param network what address limits are keyed by: an IPv4 address, or the /64 of an IPv6 address */
export function penaltyKeyOf(principal: Principal, network: string): PenaltyKey {
  const { kind, issuer, subject, client, tokenId, acr } = principal;
  switch (kind) {
    case "person":
      // A password is shown with every call: there is no signing in again. It is held like a key, and by what holds its
      // person.
      if (acr === BASIC_ACR)
        return {
          kind: "key",
          narrow: keyText("password", issuer, subject),
          wide: keyText(kind, issuer, subject),
        };
      return {
        kind,
        narrow: keyText(kind, issuer, subject, client),
        wide: keyText(kind, issuer, subject),
      };
    case "key":
      return { kind, narrow: keyText(kind, issuer, subject, tokenId), wide: "" };
    case "client":
      return { kind, narrow: keyText(kind, issuer, client), wide: "" };
    case "anonymous":
      return {
        kind: "address",
        narrow: keyText("address", network),
        wide: keyText("network", networkAround(network)),
      };
  }
}

/** The /24 of an IPv4 address, the /48 of an IPv6 /64; the text itself when it is neither. */
export function networkAround(network: string): string {
  const ipv4 = /^(\d+\.\d+\.\d+)\.\d+$/.exec(network);
  if (ipv4 !== null) return `${ipv4[1]}.0/24`;
  if (!network.includes(":")) return network;
  const [address = ""] = network.split("/");
  // The first three groups; `::` within them stands for zeros.
  const [front = ""] = address.split("::");
  const groups = front.split(":").filter((group) => group !== "");
  while (groups.length < 3) groups.push("0");
  return `${groups.slice(0, 3).join(":")}::/48`;
}

function keyText(...parts: readonly string[]): string {
  return JSON.stringify(parts.map(shortened));
}

// Names come from tokens, which may have kilobytes of them; a key is kept in memory for weeks.
const LONGEST_PART = 256;

function shortened(part: string): string {
  if (part.length <= LONGEST_PART) return part;
  const digest = createHash("sha256").update(part).digest("base64url");
  return `${part.slice(0, 64)}… sha256 ${digest}`;
}
