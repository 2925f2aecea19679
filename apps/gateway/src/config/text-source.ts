import { open } from "node:fs/promises";
import { LineCounter, parseDocument } from "yaml";
import {
  ConfigError,
  fileMistake,
  firstLineOf,
  type Mistake,
  type Position,
} from "./config-error.ts";
import type { ConfigSource, Environment } from "./config-source.ts";
import { DocumentWalk } from "./document-walk.ts";

// The whole of a thousand routes with limits is about half of it. A larger file is refused before it is parsed.
const MAX_FILE_BYTES = 1_048_576;

interface TextFile {
  readonly file: string;
  readonly language: "json" | "yaml";
  readonly environment: Environment;
}

/**
 * Reads a configuration in JSON or YAML, with the place of every key and value, and the environment put in.
 * JSON is walked with the YAML reader, which knows places and reads the same value out of every JSON text.
 * @throws {ConfigError} when it cannot be read or is not the language it says
 */
export async function readTextSource({
  file,
  language,
  environment,
}: TextFile): Promise<ConfigSource> {
  return parseText(await readBounded(file), { file, language, environment });
}

/** The same for a text at hand. */
export function parseText(
  written: string,
  { file, language, environment }: TextFile,
): ConfigSource {
  // Some editors put a byte order mark in front, which JSON does not know.
  const text = written.startsWith("\u{feff}") ? written.slice(1) : written;
  const lines = new LineCounter();
  const document = parseDocument(text, {
    version: "1.2",
    schema: "core",
    resolveKnownTags: false,
    strict: true,
    // The reader's own check compares every key with every other; ours below does not.
    uniqueKeys: false,
    // Pretty messages quote the source, which may hold secrets.
    prettyErrors: false,
    logLevel: "silent",
    lineCounter: lines,
  });
  const toPosition = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  // After the first syntax error a parser guesses; what it says then misleads more than it helps.
  const error = document.errors[0] ?? document.warnings[0];
  if (error !== undefined) {
    const reason = `is not valid ${language === "json" ? "JSON" : "YAML"}: ${firstLineOf(error)}`;
    throw new ConfigError(file, [fileMistake(reason, toPosition(error.pos[0]))]);
  }
  const notJson = language === "json" ? whyNotJson(text, toPosition) : undefined;
  if (notJson !== undefined) throw new ConfigError(file, [notJson]);

  const walk = new DocumentWalk(document, { environment, toPosition });
  const value = walk.read();
  if (walk.fatal !== undefined) throw new ConfigError(file, [walk.fatal]);
  if (value === null) throw new ConfigError(file, [fileMistake("is empty")]);
  dropSchemaHint(value);
  return {
    value,
    mistakes: walk.mistakes,
    positionOf: (path, part) => walk.positionOf(path, part),
    writtenAs: (path) => walk.writtenAs(path),
  };
}

/** Editors find the schema by a top-level `$schema`; the configuration itself has no such key. */
function dropSchemaHint(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  if ("$schema" in value && typeof value.$schema === "string") delete value.$schema;
}

/** The YAML reader takes more than JSON: comments, bare words, trailing commas. */
function whyNotJson(text: string, toPosition: (offset: number) => Position): Mistake | undefined {
  if (jsonProblem(text) === undefined) return undefined;
  const reason = "is not valid JSON; comments, trailing commas and bare words belong in YAML";
  return fileMistake(reason, toPosition(offsetOfJsonProblem(text)));
}

/** What the platform says is wrong. It may quote the source, so it is never shown. */
function jsonProblem(text: string): string | undefined {
  try {
    JSON.parse(text);
    return undefined;
  } catch (error) {
    return firstLineOf(error);
  }
}

/**
 * The platform tells the place of most problems, but not of an unexpected token. That one is where the shortest
 * prefix with such a problem ends: a shorter prefix has not seen it, a longer one stops there too.
 */
function offsetOfJsonProblem(text: string): number {
  const told = / at position (\d+)/.exec(jsonProblem(text) ?? "");
  if (told !== null) return Number(told[1]);
  const isSeenIn = (length: number): boolean =>
    jsonProblem(text.slice(0, length))?.startsWith("Unexpected token") === true;
  if (!isSeenIn(text.length)) return text.length;
  let [without, within] = [0, text.length];
  while (within - without > 1) {
    const middle = Math.floor((without + within) / 2);
    if (isSeenIn(middle)) within = middle;
    else without = middle;
  }
  return without;
}

async function readBounded(file: string): Promise<string> {
  try {
    await using handle = await open(file, "r");
    const stats = await handle.stat();
    // A pipe or a device has no size and may never end.
    if (!stats.isFile()) throw new Error("it is not a file");
    if (stats.size <= MAX_FILE_BYTES) return await handle.readFile("utf8");
  } catch (cause) {
    throw new ConfigError(file, [fileMistake(`cannot be read: ${firstLineOf(cause)}`)], { cause });
  }
  throw new ConfigError(file, [fileMistake(`is larger than ${MAX_FILE_BYTES} bytes`)]);
}
