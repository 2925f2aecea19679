import { serviceFault } from "./fault.ts";

// Fatal, because a replaced byte would silently change what a person wrote. A byte order mark is content, not decoration (RFC 8259 §8.1).
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Reads a JSON text from the wire.
 * A member named `__proto__` stays an ordinary own member, which every closed schema then refuses by name:
 * nothing here or behind may copy members by assignment before that (prototype pollution).
 * @throws {Fault} `malformed_request` when the bytes are not UTF-8 or not one JSON text
 */
export function parseJsonBody(bytes: Buffer): unknown {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch (cause) {
    throw serviceFault("malformed_request", "Cannot read the body: it is not valid UTF-8", {
      cause,
      mistakes: [{ pointer: "#", detail: "is not valid UTF-8" }],
    });
  }
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw serviceFault("malformed_request", "Cannot read the body: it is not one JSON text", {
      cause,
      mistakes: [{ pointer: "#", detail: "is not one JSON text" }],
    });
  }
}
