import { isIP } from "node:net";

/**
 * The header that a load balancer writes before the first byte of a connection, to say whose it is. Source: the
 * PROXY protocol, versions 1 and 2 (haproxy.org, proxy-protocol.txt, 2.1 and 2.2).
 */
export type ProxyHeader =
  /** More bytes are needed. */
  | { readonly kind: "incomplete" }
  /** `source` is undefined when the balancer speaks for itself (health checks) or does not know. */
  | {
      readonly kind: "header";
      readonly lengthBytes: number;
      readonly source: { readonly address: string; readonly port: number } | undefined;
    }
  /** No such header, or a broken one. */
  | { readonly kind: "flaw"; readonly detail: string };

/** Longest header that is waited for: version 2 with more TLVs than any balancer sends. */
export const MAX_PROXY_HEADER_BYTES = 4_096;

const SIGNATURE = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
// §2.1: 107 bytes with CRLF is the longest line of version 1.
const MAX_LINE_BYTES = 107;

/** @param bytes what has arrived so far; a header may be cut anywhere */
export function parseProxyHeader(bytes: Buffer): ProxyHeader {
  const begins = (start: Buffer): boolean =>
    bytes.subarray(0, start.length).equals(start.subarray(0, bytes.length));
  if (begins(SIGNATURE)) return bytes.length < 16 ? INCOMPLETE : parseBinary(bytes);
  if (begins(Buffer.from("PROXY "))) return parseLine(bytes);
  return flaw("The connection does not begin with a PROXY header");
}

const INCOMPLETE: ProxyHeader = { kind: "incomplete" };

function flaw(detail: string): ProxyHeader {
  return { kind: "flaw", detail };
}

function parseLine(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, MAX_LINE_BYTES).indexOf("\r\n", 0, "latin1");
  if (end < 0)
    return bytes.length < MAX_LINE_BYTES ? INCOMPLETE : flaw("The PROXY line does not end");
  const line = bytes.toString("latin1", 0, end);
  const lengthBytes = end + 2;
  if (line === "PROXY UNKNOWN" || line.startsWith("PROXY UNKNOWN "))
    return { kind: "header", lengthBytes, source: undefined };
  const parts = /^PROXY TCP([46]) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+) (\d{1,5}) (\d{1,5})$/.exec(
    line,
  );
  if (parts === null) return flaw("The PROXY line is not of its form");
  const [, family, address = "", , portText] = parts;
  const port = Number(portText);
  if (isIP(address) !== Number(family) || port > 65_535)
    return flaw("The PROXY line names no address");
  return { kind: "header", lengthBytes, source: { address, port } };
}

const COMMAND = { local: 0x20, proxy: 0x21 };
const FAMILY = { tcp4: 0x11, tcp6: 0x21 };

function parseBinary(bytes: Buffer): ProxyHeader {
  const command = bytes[12];
  const family = bytes[13];
  const lengthBytes = 16 + bytes.readUInt16BE(14);
  if (command !== COMMAND.local && command !== COMMAND.proxy)
    return flaw("The PROXY header has an unknown version or command");
  if (lengthBytes > MAX_PROXY_HEADER_BYTES) return flaw("The PROXY header is too long");
  if (bytes.length < lengthBytes) return INCOMPLETE;
  if (command === COMMAND.local) return { kind: "header", lengthBytes, source: undefined };
  if (family === FAMILY.tcp4 && lengthBytes >= 16 + 12)
    return {
      kind: "header",
      lengthBytes,
      source: { address: bytes.subarray(16, 20).join("."), port: bytes.readUInt16BE(24) },
    };
  if (family === FAMILY.tcp6 && lengthBytes >= 16 + 36) {
    const groups = Array.from({ length: 8 }, (_, at) =>
      bytes.readUInt16BE(16 + 2 * at).toString(16),
    );
    return {
      kind: "header",
      lengthBytes,
      source: { address: groups.join(":"), port: bytes.readUInt16BE(48) },
    };
  }
  return flaw("The PROXY header has an address family that is not TCP over IP");
}
