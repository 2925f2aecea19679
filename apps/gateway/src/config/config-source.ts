import type { ConfigPath, Mistake, Position } from "./config-error.ts";
import type { ConfigModules } from "./config-modules.ts";

/** A configuration as it was written, before anything is known about its sense. */
export interface ConfigSource {
  readonly value: unknown;
  /** What is wrong with the writing itself, though a value could be made of it. */
  readonly mistakes: readonly Mistake[];
  /** Where `path`, or the nearest thing around it, stands; undefined where the language does not tell. */
  positionOf(path: ConfigPath, part: "key" | "value"): Position | undefined;
  /** The text as it stands in the file, where the value at `path` came from the environment. */
  writtenAs(path: ConfigPath): string | undefined;
  /** What was run to have the value, where the language is one that runs. */
  readonly modules?: ConfigModules;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** A value that was made in code: nothing is known about where it stands. */
export function valueSource(value: unknown): ConfigSource {
  return { value, mistakes: [], positionOf: () => undefined, writtenAs: () => undefined };
}
