import { dirname, resolve } from "node:path";
import { ConfigError, type ConfigPath, type Mistake } from "./config-error.ts";
import { noteOrigin } from "./config-functions.ts";
import { valueSource, type ConfigSource, type Environment } from "./config-source.ts";
import { crossCheck } from "./cross-check.ts";
import { readDraft } from "./draft.ts";
import { explainIssues, type Finding } from "./explain-issue.ts";
import { deepFreeze } from "./frozen.ts";
import { readConfigSource } from "./read-config-source.ts";
import { resolveFiles } from "./resolve-files.ts";
import { configSchema, type GatewayConfig } from "./schema.ts";
import { childOf } from "./schema-notes.ts";
import { showValue } from "./show-value.ts";

/** A configuration that can be used, and what in it is probably not meant. */
export interface LoadedConfig {
  readonly config: GatewayConfig;
  readonly warnings: readonly Mistake[];
}

/**
 * Reads a configuration of any language, puts the environment in (JSON and YAML), and validates it whole. Paths in it
 * are relative to its folder.
 * @throws {ConfigError} with every mistake at once
 */
export async function loadConfig(
  file: string,
  { environment }: { readonly environment: Environment },
): Promise<LoadedConfig> {
  const absolute = resolve(file);
  const source = await readConfigSource(absolute, environment);
  return validate(source, { file, folder: dirname(absolute) });
}

/**
 * Validates a configuration that was made in code.
 * @param folder what relative paths in it are relative to
 * @throws {ConfigError} with every mistake at once
 */
export function validateConfig(
  value: unknown,
  { folder }: { readonly folder: string },
): LoadedConfig {
  return validate(valueSource(value), { file: "the configuration", folder });
}

/** Everything after reading. `file` is what messages call it. */
export function validate(
  source: ConfigSource,
  { file, folder }: { readonly file: string; readonly folder: string },
): LoadedConfig {
  const value = structure(source);
  const result = configSchema.safeParse(value);
  const found = result.success ? [] : explainIssues(result.error.issues, value);
  const broken = found.map((finding) => finding.path);
  const cross = crossCheck(readDraft(value), broken);

  const mistakes = [...source.mistakes];
  const known = new Set(mistakes.map((mistake) => keyOf(mistake.path)));
  for (const finding of [...found, ...cross.mistakes]) {
    // One complaint about a place is enough: the first is the cause of the others.
    if (known.has(keyOf(finding.path))) continue;
    known.add(keyOf(finding.path));
    mistakes.push(toMistake(finding, value, source));
  }
  if (!result.success || mistakes.length > 0) {
    throw new ConfigError(file, mistakes.toSorted(inOrderOfFile));
  }
  const warnings = cross.warnings.map((finding) => toMistake(finding, value, source));
  const config = deepFreeze(resolveFiles(result.data, folder));
  if (source.modules !== undefined) noteOrigin(config, source.modules);
  return { config, warnings: warnings.toSorted(inOrderOfFile) };
}

/**
 * The value to validate. Text from the environment becomes a number or a truth value where the schema wants one: the
 * schema decides, so that a password of digits stays a text.
 */
function structure(source: ConfigSource): unknown {
  const first = configSchema.safeParse(source.value);
  if (first.success) return source.value;
  for (const { path, expected } of explainIssues(first.error.issues, source.value)) {
    if (expected === undefined || source.writtenAs(path) === undefined) continue;
    const holder = at(path.slice(0, -1), source.value);
    const key = path.at(-1);
    if (typeof holder !== "object" || holder === null || key === undefined) continue;
    const text = childOf(holder, key);
    const converted = typeof text === "string" ? fromText(text, expected) : undefined;
    if (converted !== undefined) Object.assign(holder, { [key]: converted });
  }
  return source.value;
}

function fromText(text: string, expected: string): number | boolean | undefined {
  if (expected === "boolean") return text === "true" ? true : text === "false" ? false : undefined;
  const isNumber = /^-?(?:0|[1-9]\d{0,15})(?:\.\d{1,15})?$/.test(text);
  return isNumber && (expected === "number" || expected === "int") ? Number(text) : undefined;
}

function toMistake(finding: Finding, value: unknown, source: ConfigSource): Mistake {
  const { path, reason, allowed, isAboutKey = false, quotesValue = false } = finding;
  // What came from the environment may be a secret: the reference is shown, not what it led to.
  const written = source.writtenAs(path);
  return {
    path,
    value: isAboutKey ? undefined : showValue(written ?? at(path, value), path),
    reason:
      quotesValue && written !== undefined ? "leads to something that is not allowed" : reason,
    allowed: allowed === "" ? undefined : allowed,
    position: source.positionOf(path, isAboutKey ? "key" : "value"),
  };
}

function inOrderOfFile(a: Mistake, b: Mistake): number {
  if (a.position === undefined || b.position === undefined) return 0;
  return a.position.line - b.position.line || a.position.column - b.position.column;
}

const keyOf = (path: ConfigPath): string => JSON.stringify(path);

function at(path: ConfigPath, value: unknown): unknown {
  let current = value;
  for (const step of path) current = childOf(current, step);
  return current;
}
