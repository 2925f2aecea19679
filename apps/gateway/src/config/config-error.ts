/** Where a value stands in the configuration: keys and list positions from the root. */
export type ConfigPath = readonly (string | number)[];

/** A place in the file as people count: both from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** One thing that is wrong, or doubtful, in a configuration. All texts are safe to print: no secret is in them. */
export interface Mistake {
  readonly path: ConfigPath;
  /** What stands there, shortened; undefined where nothing does or where it must not be shown. */
  readonly value: string | undefined;
  readonly reason: string;
  readonly allowed: string | undefined;
  /** Undefined where the language of the file does not tell. */
  readonly position: Position | undefined;
}

/** A configuration that cannot be used, with everything that is wrong in it. */
export class ConfigError extends Error {
  readonly file: string;
  readonly mistakes: readonly Mistake[];

  constructor(file: string, mistakes: readonly Mistake[], options?: { cause?: unknown }) {
    super(formatMistakes(file, mistakes), options);
    this.name = "ConfigError";
    this.file = file;
    this.mistakes = mistakes;
  }
}

// More than anybody repairs in one go; beyond it the message only says how many there are.
const SHOWN_AT_MOST = 100;

function formatMistakes(file: string, mistakes: readonly Mistake[]): string {
  const count = mistakes.length === 1 ? "1 mistake" : `${mistakes.length} mistakes`;
  const shown = mistakes.slice(0, SHOWN_AT_MOST).map(formatMistake);
  if (mistakes.length > SHOWN_AT_MOST) shown.push(`and ${mistakes.length - SHOWN_AT_MOST} more`);
  return `Cannot use ${file}: ${count}\n\n${shown.join("\n\n")}`;
}

/** A mistake of the file as a whole. */
export const fileMistake = (reason: string, position?: Position): Mistake => ({
  path: [],
  value: undefined,
  reason,
  allowed: undefined,
  position,
});

/** The first line of an error's message: the rest often quotes source, which may hold secrets. */
export function firstLineOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split("\n", 1)[0] ?? "";
}

/** One mistake on two or three lines: where and what stands there; why it is wrong; what is allowed. */
export function formatMistake({ path, value, reason, allowed, position }: Mistake): string {
  const where = position === undefined ? "" : `line ${position.line}, column ${position.column}: `;
  const what = value === undefined ? "" : ` = ${value}`;
  const lines = [`${where}${formatPath(path)}${what}`, `  ${reason}`];
  if (allowed !== undefined) lines.push(`  allowed: ${allowed}`);
  return lines.join("\n");
}

/** `routes[2].websocket.limits[0]`, as one would write it in code. */
export function formatPath(path: ConfigPath): string {
  if (path.length === 0) return "the file";
  return path
    .map((step, position) => {
      if (typeof step === "number") return `[${step}]`;
      if (!/^[A-Za-z_$][\w$]*$/.test(step)) return `[${JSON.stringify(shorten(step))}]`;
      return position === 0 ? step : `.${step}`;
    })
    .join("");
}

const shorten = (text: string): string => (text.length > 60 ? `${text.slice(0, 59)}…` : text);
