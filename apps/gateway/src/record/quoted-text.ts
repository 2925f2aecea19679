// Text that came from outside, made safe for one line of a log.

// What most ids, names and methods consist of: nothing JSON would escape and nothing a terminal would obey.
const PLAIN = /^[ !#-[\]-~]*$/;
// Log injection: line ends forge lines; C0 and C1 controls steer the terminal that shows the log; U+2028 and
// U+2029 end lines for some readers; the bidirectional controls show text in another order than it has.
// oxlint-disable-next-line eslint/no-control-regex -- control characters are what it is about
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/**
 * The text as a JSON string with its quotation marks. Escapes keep what was there readable, and harmless.
 * @param maxCharacters where it is cut (with `…`), so that nobody can fill the log with one field
 */
export function quoted(text: string, maxCharacters = 256): string {
  if (text.length <= maxCharacters && PLAIN.test(text)) return `"${text}"`;
  const cut = text.length > maxCharacters ? `${text.slice(0, maxCharacters)}…` : text;
  // JSON.stringify escapes C0, quotation marks, backslashes and lone surrogates; the rest is for us.
  return escapeUnsafe(JSON.stringify(cut));
}

/** Escapes, in a line of JSON without its line end, what JSON lets through and a terminal would obey. */
export function escapeUnsafe(json: string): string {
  return json.replaceAll(
    UNSAFE,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
