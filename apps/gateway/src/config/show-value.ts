import type { ConfigPath } from "./config-error.ts";

const LONGEST_SHOWN = 60;

/**
 * A value as a message may show it: short, and without what could be a secret. Hidden are values under keys that are
 * called like secrets, and user names, passwords and queries inside URLs; lists are only counted.
 */
export function showValue(value: unknown, path: ConfigPath): string | undefined {
  if (path.some((step) => typeof step === "string" && SECRET_KEY.test(step))) return "[secret]";
  switch (typeof value) {
    case "string":
      return JSON.stringify(shorten(hideInUrl(value)));
    case "number":
    case "boolean":
    case "bigint":
      return String(value);
    case "object":
      if (Array.isArray(value)) return `a list of ${value.length}`;
      return value === null ? "null" : undefined;
    case "function":
      return "a function";
    default:
      return undefined;
  }
}

/** What kind of thing a value is, in words: "text", "a number". */
export function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  switch (typeof value) {
    case "string":
      return "text";
    case "number":
      return Number.isFinite(value) ? "a number" : String(value);
    case "boolean":
      return "true or false";
    case "object":
      return "an object";
    case "undefined":
      return "missing";
    default:
      return `a ${typeof value}`;
  }
}

const SECRET_KEY = /secret|passw|passphrase|token$|credential|private|api-?key/i;

function hideInUrl(text: string): string {
  return text
    .replace(/\/\/[^/?#\s]*@/, "//[secret]@")
    .replace(/^([a-z][a-z0-9+.-]*:[^?\s]*\?)[\s\S]+$/i, "$1[hidden]");
}

const shorten = (text: string): string =>
  text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN - 1)}…` : text;
