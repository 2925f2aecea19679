import { createHash } from "node:crypto";

/** RFC 6455 §1.3. */
const ACCEPT_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** Offers that a handshake may list; real clients list one to three. More is refused, so that parsing stays cheap. */
const MAX_SUBPROTOCOLS = 32;

/** The only version there is (RFC 6455 §4.1). */
export const WEBSOCKET_VERSION = "13";

/** What `Sec-WebSocket-Accept` must be for a `Sec-WebSocket-Key` (RFC 6455 §4.2.2, step 5.4). */
export function toAcceptValue(key: string): string {
  return createHash("sha1")
    .update(key + ACCEPT_GUID)
    .digest("base64");
}

/** Whether `key` is 16 bytes in base64, with no stray bits in its last character (RFC 6455 §4.2.1). */
export function isWebSocketKey(key: string): boolean {
  return /^[A-Za-z0-9+/]{21}[AQgw]==$/.test(key);
}

/**
 * The values of `Sec-WebSocket-Protocol`, in the client's order of preference.
 *
 * @param value the field's value; several fields joined by commas
 * @returns undefined when it is no list of tokens, names one twice (RFC 6455 §4.1: they must be unique) or is
 *   longer than 32
 */
export function parseSubprotocols(value: string): readonly string[] | undefined {
  const names = value.split(",").map((name) => name.replace(/^[ \t]+|[ \t]+$/g, ""));
  if (names.length > MAX_SUBPROTOCOLS) return undefined;
  if (!names.every((name) => TOKEN.test(name))) return undefined;
  return new Set(names).size === names.length ? names : undefined;
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
