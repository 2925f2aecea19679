import type { Extension } from "./extension.ts";

/** The one extension that may pass through: RFC 7692. It uses RSV1 and leaves frames readable. */
export const PERMESSAGE_DEFLATE = "permessage-deflate";

const WINDOW_BITS = /^([89]|1[0-5])$/;

/** Whether every parameter of an offer of permessage-deflate is one of RFC 7692 §7.1 with a legal value. */
export function isDeflateOffer({ name, parameters }: Extension): boolean {
  if (name !== PERMESSAGE_DEFLATE) return false;
  return parameters.entries().every(([key, value]) => {
    switch (key) {
      case "server_no_context_takeover":
      case "client_no_context_takeover":
        return value === true;
      case "server_max_window_bits":
        return value !== true && WINDOW_BITS.test(value);
      case "client_max_window_bits":
        return value === true || WINDOW_BITS.test(value);
      default:
        return false;
    }
  });
}

/**
 * Whether `answer` is what a server may say to one of `offers` (RFC 7692 §7.1): it must grant what the offer
 * demands, and must not set the client's window where the offer did not allow that.
 */
export function isDeflateAnswer(answer: Extension, offers: readonly Extension[]): boolean {
  if (!isDeflateOffer(answer) || answer.parameters.get("client_max_window_bits") === true) {
    return false;
  }
  return offers.some((offer) => isDeflateOffer(offer) && answersOffer(answer, offer));
}

function answersOffer({ parameters: said }: Extension, { parameters: asked }: Extension): boolean {
  if (asked.has("server_no_context_takeover") && !said.has("server_no_context_takeover")) {
    return false;
  }
  const askedServerBits = asked.get("server_max_window_bits");
  if (askedServerBits !== undefined) {
    const saidServerBits = said.get("server_max_window_bits");
    if (saidServerBits === undefined || Number(saidServerBits) > Number(askedServerBits)) {
      return false;
    }
  }
  const saidClientBits = said.get("client_max_window_bits");
  if (saidClientBits === undefined) return true;
  const askedClientBits = asked.get("client_max_window_bits");
  if (askedClientBits === undefined) return false;
  return askedClientBits === true || Number(saidClientBits) <= Number(askedClientBits);
}
