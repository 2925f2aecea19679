import {
  isDeflateOffer,
  isWebSocketKey,
  parseExtensions,
  parseSubprotocols,
  WEBSOCKET_VERSION,
  type Extension,
} from "@tidegate/wire";
import type { RequestHead } from "../accept/request-head.ts";
import { REASON, type ReasonCode } from "../judge/reason.ts";
import { fieldValues } from "./fields.ts";

/** What a client asks for in a handshake that was found valid. */
export interface HandshakeOffer {
  /** `Sec-WebSocket-Key`. */
  readonly key: string;
  /** In the client's order of preference. */
  readonly subprotocols: readonly string[];
  /** The offers of permessage-deflate. Others are forgotten: an extension may change what frames mean. */
  readonly deflateOffers: readonly Extension[];
}

/** A handshake that is not one: the answer's reason, its detail and the fields it must carry. */
export interface HandshakeFlaw {
  readonly reason: ReasonCode;
  readonly detail: string;
  readonly fields: readonly string[];
}

/**
 * Checks a client's handshake by RFC 6455 §4.2.1, before anything of it reaches an upstream.
 *
 * It stops the first of the two smuggling tricks: a client sends an upgrade that the upstream will not accept (a
 * wrong `Sec-WebSocket-Version`, which gets 426), a proxy that only looks at `Upgrade` believes in a tunnel, and
 * the client then speaks plain HTTP to the upstream, past every rule of the proxy.
 */
export function inspectHandshake(head: RequestHead): HandshakeOffer | HandshakeFlaw {
  if (head.method !== "GET" || head.httpVersion !== "1.1")
    return bad("Only GET of HTTP/1.1 can be upgraded");
  if (head.bodyBytes !== 0) return bad("A handshake has no body");
  if (!head.connectionOptions.includes("upgrade")) return bad("Connection does not list Upgrade");
  const upgrade = fieldValues(head.fields, "upgrade");
  if (upgrade.length !== 1 || upgrade[0]!.toLowerCase() !== "websocket") {
    return bad("Upgrade is not exactly websocket");
  }
  const versions = fieldValues(head.fields, "sec-websocket-version");
  if (versions.length !== 1 || versions[0] !== WEBSOCKET_VERSION) {
    return {
      reason: REASON.upgrade_required,
      detail: `Sec-WebSocket-Version is not exactly ${WEBSOCKET_VERSION}`,
      // RFC 6455 §4.4.
      fields: ["Sec-WebSocket-Version", WEBSOCKET_VERSION],
    };
  }
  const [key, ...otherKeys] = fieldValues(head.fields, "sec-websocket-key");
  if (key === undefined || otherKeys.length > 0 || !isWebSocketKey(key)) {
    return bad("Sec-WebSocket-Key is not exactly 16 bytes in base64");
  }
  const subprotocols = parseList(head.fields, "sec-websocket-protocol", parseSubprotocols);
  if (subprotocols === undefined) return bad("Sec-WebSocket-Protocol is not a list of names");
  const extensions = parseList(head.fields, "sec-websocket-extensions", parseExtensions);
  if (extensions === undefined) return bad("Sec-WebSocket-Extensions is not a list of extensions");
  return { key, subprotocols, deflateOffers: extensions.filter(isDeflateOffer) };
}

function bad(detail: string): HandshakeFlaw {
  return { reason: REASON.bad_handshake, detail, fields: [] };
}

function parseList<Element>(
  fields: readonly string[],
  name: string,
  parse: (value: string) => readonly Element[] | undefined,
): readonly Element[] | undefined {
  const values = fieldValues(fields, name);
  return values.length === 0 ? [] : parse(values.join(","));
}
