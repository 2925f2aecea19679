import {
  isDeflateAnswer,
  parseExtensions,
  parseSubprotocols,
  toAcceptValue,
  type Extension,
} from "@tidegate/wire";
import { fieldValues } from "./fields.ts";

/** What we asked an upstream for. */
export interface UpstreamOffer {
  /** Our own key: the client's goes no further than us. */
  readonly key: string;
  readonly subprotocols: readonly string[];
  readonly deflateOffers: readonly Extension[];
}

/** What a valid `101` agreed to. */
export interface Acceptance {
  readonly subprotocol: string | undefined;
  readonly deflate: Extension | undefined;
}

/**
 * Checks the fields of an upstream's `101` by RFC 6455 §4.1: only a server that understood our handshake can have
 * made them.
 *
 * It stops the second of the two smuggling tricks: an upstream endpoint that a client can make answer `101` (a
 * health check that reports the status of another address, say) without being WebSocket at all. The proxy believes
 * in a tunnel and the client speaks plain HTTP to the upstream. `Sec-WebSocket-Accept` of a key that the client
 * never saw cannot be made up.
 *
 * @returns what is wrong, in words
 */
export function inspectAcceptance(
  fields: readonly string[],
  offer: UpstreamOffer,
): Acceptance | string {
  const upgrade = fieldValues(fields, "upgrade");
  if (upgrade.length !== 1 || upgrade[0]!.toLowerCase() !== "websocket") {
    return "Upgrade is not exactly websocket";
  }
  const connection = fieldValues(fields, "connection").join(",").toLowerCase().split(",");
  if (!connection.some((option) => option.trim() === "upgrade")) {
    return "Connection does not list Upgrade";
  }
  const accepts = fieldValues(fields, "sec-websocket-accept");
  if (accepts.length !== 1 || accepts[0] !== toAcceptValue(offer.key)) {
    return "Sec-WebSocket-Accept does not belong to the key";
  }
  // RFC 9110 §8.6, RFC 9112 §6.1: neither may stand in a 1xx; one that does wants to be read as HTTP.
  if (hasField(fields, "content-length") || hasField(fields, "transfer-encoding")) {
    return "A 101 has no body";
  }
  const subprotocol = chosenSubprotocol(fieldValues(fields, "sec-websocket-protocol"), offer);
  if (subprotocol === null) return "Sec-WebSocket-Protocol is not one of those offered";
  const deflate = chosenDeflate(fieldValues(fields, "sec-websocket-extensions"), offer);
  if (deflate === null) return "Sec-WebSocket-Extensions is not what was offered";
  return { subprotocol, deflate };
}

function hasField(fields: readonly string[], name: string): boolean {
  return fieldValues(fields, name).length > 0;
}

/** @returns null when the choice is not allowed */
function chosenSubprotocol(
  values: readonly string[],
  { subprotocols }: UpstreamOffer,
): string | undefined | null {
  if (values.length === 0) return undefined;
  const names = parseSubprotocols(values.join(","));
  const [name] = names ?? [];
  return name !== undefined && names?.length === 1 && subprotocols.includes(name) ? name : null;
}

/** @returns null when the choice is not allowed */
function chosenDeflate(
  values: readonly string[],
  { deflateOffers }: UpstreamOffer,
): Extension | undefined | null {
  if (values.length === 0) return undefined;
  const extensions = parseExtensions(values.join(","));
  const [extension] = extensions ?? [];
  if (extension === undefined || extensions?.length !== 1) return null;
  return isDeflateAnswer(extension, deflateOffers) ? extension : null;
}
