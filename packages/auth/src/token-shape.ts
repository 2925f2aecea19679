import { isJsonObject, type JsonObject } from "./json-object.ts";

/**
 * The shape of a signed token (RFC 7515 compact form), read strictly before anything is believed or any key is
 * looked for. Libraries are lenient here: the usual ones take sixteen spellings of one signature (unused bits of
 * the last character), padding and white space. One token then has many texts, and whatever is keyed by a text
 * (a memory, a replay list) is dodged. Here exactly one text is a token.
 */

/** Parsed and unverified: nothing in it may be trusted yet. */
export interface TokenParts {
  readonly header: JsonObject;
  readonly payload: JsonObject;
}

/** Longer tokens are not looked at. Real ones are below 4 KiB; a request's whole head ends at 16 KiB. */
export const MAX_TOKEN_LENGTH = 8_192;

/** @returns undefined unless `text` is the one canonical spelling of header, payload and signature */
export function parseToken(text: string): TokenParts | undefined {
  if (text.length > MAX_TOKEN_LENGTH || !COMPACT.test(text)) return undefined;
  const [header = "", payload = "", signature = ""] = text.split(".");
  if (decodeBase64Url(signature) === undefined) return undefined;
  const headerObject = decodeObject(header);
  const payloadObject = decodeObject(payload);
  if (headerObject === undefined || payloadObject === undefined) return undefined;
  return { header: headerObject, payload: payloadObject };
}

const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;

// ignoreBOM keeps a byte order mark, so that JSON.parse refuses it.
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decodeObject(text: string): JsonObject | undefined {
  const bytes = decodeBase64Url(text);
  if (bytes === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(UTF8.decode(bytes));
  } catch {
    return undefined; // not UTF-8 or not JSON: not a token
  }
  return isJsonObject(value) ? value : undefined;
}

/** RFC 4648 §3.5: unused bits must be zero. Node ignores them, so the bytes are written out again and compared. */
function decodeBase64Url(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, "base64url");
  return bytes.toString("base64url") === text ? bytes : undefined;
}
