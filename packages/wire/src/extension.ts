/** Offers that a handshake may list. Browsers send one, libraries up to three. */
const MAX_EXTENSIONS = 16;
const MAX_PARAMETERS = 16;

/** One element of `Sec-WebSocket-Extensions`. A parameter without value is `true`. */
export interface Extension {
  readonly name: string;
  readonly parameters: ReadonlyMap<string, string | true>;
}

/**
 * Parses `Sec-WebSocket-Extensions` (RFC 6455 §9.1).
 *
 * @param value the field's value; several fields joined by commas
 * @returns undefined when it does not follow the grammar, names a parameter twice in one element (RFC 7692 §7.1)
 *   or is longer than 16 by 16
 */
export function parseExtensions(value: string): readonly Extension[] | undefined {
  const extensions: Extension[] = [];
  const rest = new Scanner(value);
  do {
    const name = rest.token();
    if (name === undefined || extensions.length === MAX_EXTENSIONS) return undefined;
    const parameters = new Map<string, string | true>();
    while (rest.take(";")) {
      const key = rest.token();
      if (key === undefined || parameters.has(key) || parameters.size === MAX_PARAMETERS) {
        return undefined;
      }
      if (!rest.take("=")) {
        parameters.set(key, true);
        continue;
      }
      const text = rest.tokenOrQuoted();
      if (text === undefined) return undefined;
      parameters.set(key, text);
    }
    extensions.push({ name, parameters });
  } while (rest.take(","));
  return rest.isAtEnd ? extensions : undefined;
}

/** Writes elements as they stand in the field. Values that need no quotes get none. */
export function formatExtensions(extensions: readonly Extension[]): string {
  return extensions
    .map(({ name, parameters }) =>
      [name, ...parameters.entries().map(([k, v]) => (v === true ? k : `${k}=${v}`))].join("; "),
    )
    .join(", ");
}

/** Reads a field value piece by piece, stepping over blanks between pieces. */
class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#match(BLANKS);
  }

  get isAtEnd(): boolean {
    return this.#at === this.#text.length;
  }

  take(mark: "," | ";" | "="): boolean {
    if (this.#text[this.#at] !== mark) return false;
    this.#at += 1;
    this.#match(BLANKS);
    return true;
  }

  token(): string | undefined {
    const token = this.#match(TOKEN);
    this.#match(BLANKS);
    return token;
  }

  /** RFC 6455 §9.1: the value in quotes must itself be a token. */
  tokenOrQuoted(): string | undefined {
    const bare = this.token();
    if (bare !== undefined) return bare;
    const quoted = this.#match(QUOTED_TOKEN);
    this.#match(BLANKS);
    return quoted?.slice(1, -1);
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }
}

const BLANKS = /[ \t]*/y;
const TOKEN = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y;
const QUOTED_TOKEN = /"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"/y;
