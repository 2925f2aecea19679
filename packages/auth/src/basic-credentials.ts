/** User and password as RFC 7617 carries them. */
export interface BasicCredentials {
  readonly user: string;
  readonly password: string;
}

/**
 * Reads the credentials of an `Authorization: Basic` field, strictly: one text per pair, so that what is keyed by the
 * text (memory, back-off) cannot be dodged by another spelling.
 * @param text what stands behind the scheme
 */
export function parseBasicCredentials(text: string): BasicCredentials | undefined {
  if (text.length > MAX_TEXT_LENGTH || !BASE64.test(text)) return undefined;
  const bytes = Buffer.from(text, "base64");
  // Unused bits must be zero (RFC 4648 §3.5); Node ignores them.
  if (bytes.toString("base64") !== text) return undefined;
  let pair: string;
  try {
    pair = UTF8.decode(bytes);
  } catch {
    return undefined; // not UTF-8, which our challenge asks for (RFC 7617 §2.1)
  }
  // RFC 7617 §2: neither part may hold control characters; the first colon ends the user.
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\u0000-\u001f\u007f-\u009f]/.test(pair)) return undefined;
  const colon = pair.indexOf(":");
  if (colon < 1) return undefined;
  // One person types é as one character, another keyboard sends two (RFC 8265 §4.2: NFC).
  const user = pair.slice(0, colon).normalize("NFC");
  const password = pair.slice(colon + 1).normalize("NFC");
  return user.length <= MAX_USER_LENGTH && password !== "" ? { user, password } : undefined;
}

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
/** Room for a name of 128 characters and a pass phrase of several sentences. */
const MAX_TEXT_LENGTH = 2_048;
export const MAX_USER_LENGTH = 128;
