/**
 * One line of a field section, and the memory of those that came before on the same connection. A client says the
 * same about itself with every request of a kept connection (Host, User-Agent, Authorization, Cookie), so a line that
 * is equal to the one that stood at its place last time is not read again. The strings are the same objects then,
 * which lets later steps recognise them without comparing.
 */
export interface FieldLine {
  /** The line without its line end. */
  readonly text: string;
  readonly name: string;
  readonly value: string;
  /** One of `LINE`. */
  readonly kind: number;
}

/** Which lines the parser itself must understand. */
export const LINE = {
  ordinary: 0,
  contentLength: 1,
  transferEncoding: 2,
  connection: 3,
  upgrade: 4,
} as const;

// RFC 9110 §5.6.2: what a name may consist of.
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
// RFC 9110 §5.5: anything but NUL, CR, LF and the other controls. A tab may stand inside.
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/**
 * Reads a field line. Also refuses folded lines and a space before the colon (RFC 9112 §5.1, §5.2), by which one
 * parser sees a field that another does not. @returns what is wrong, in words
 */
export function readFieldLine(text: string): FieldLine | string {
  const colon = text.indexOf(":");
  if (colon < 0) return "A field line has no colon";
  const name = text.slice(0, colon);
  if (!NAME.test(name)) return "A field's name is not valid";
  const value = trimmed(text, colon + 1);
  if (!VALUE.test(value)) return "A field's value is not valid";
  return { text, name, value, kind: kindOf(name) };
}

/** Lines that are remembered, and their characters together: some 4 KiB at most for each connection. */
const MAX_LINES = 48;
const MAX_CHARACTERS = 4_096;

/** The lines of the last request on a connection, by their place. When full, further lines are read anew each time. */
export class FieldLineMemory {
  readonly #lines: FieldLine[] = [];
  #characters = 0;

  /** @returns the line remembered at this place if it is this one */
  recall(place: number, text: string): FieldLine | undefined {
    const known = this.#lines[place];
    return known !== undefined && known.text === text ? known : undefined;
  }

  remember(place: number, line: FieldLine): void {
    if (place >= MAX_LINES) return;
    const characters = this.#characters + line.text.length - (this.#lines[place]?.text.length ?? 0);
    if (characters > MAX_CHARACTERS) return;
    this.#characters = characters;
    this.#lines[place] = line;
  }
}

function kindOf(name: string): number {
  switch (name.length) {
    case 7:
      return name.toLowerCase() === "upgrade" ? LINE.upgrade : LINE.ordinary;
    case 10:
      return name.toLowerCase() === "connection" ? LINE.connection : LINE.ordinary;
    case 14:
      return name.toLowerCase() === "content-length" ? LINE.contentLength : LINE.ordinary;
    case 17:
      return name.toLowerCase() === "transfer-encoding" ? LINE.transferEncoding : LINE.ordinary;
    default:
      return LINE.ordinary;
  }
}

// Optional white space around a value is not part of it (RFC 9110 §5.5).
function trimmed(text: string, from: number): string {
  let start = from;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9;
}
