import { hash } from "node:crypto";

/** Longer keys are replaced by their SHA-256: hashing 256 characters for the table costs below a microsecond, and nobody's real id is longer. */
const LONGEST_KEY = 256;

/** No more than this of a caller-supplied text is looked at; what is longer is no identifier, and is cut. */
const LONGEST_PART = 8_192;

/**
 * One key out of texts that callers may choose (user, API key, tenant, own header). Each part carries its length, so that
 * no choice of one part can imitate another key: ("a", "b:c") and ("a:b", "c") differ, and kinds never meet.
 *
 * @param kind what the parts name, such as `person`; a constant of the code
 */
export function callerKey(kind: string, ...parts: readonly string[]): string {
  let key = kind;
  for (const part of parts) {
    const kept = part.length > LONGEST_PART ? part.slice(0, LONGEST_PART) : part;
    key += `;${kept.length}:${kept}`;
  }
  return key.length <= LONGEST_KEY ? key : `${kind}#${hash("sha256", key, "base64url")}`;
}
