import { access, constants } from "node:fs/promises";
import { ConfigError, fileMistake, firstLineOf, type Position } from "./config-error.ts";
import { type ConfigRun, runConfig } from "./config-modules.ts";
import { type ConfigSource, valueSource } from "./config-source.ts";

/**
 * Runs a configuration that is a module and takes its default export. The file may lie in any folder: its import
 * `tidegate` is this running gateway, with no node_modules around.
 * @throws {ConfigError}
 */
export async function readModuleSource(file: string): Promise<ConfigSource> {
  await access(file, constants.R_OK).catch((cause: unknown) => {
    throw new ConfigError(file, [fileMistake(`cannot be read: ${firstLineOf(cause)}`)], { cause });
  });
  let run: ConfigRun;
  try {
    run = await runConfig(file);
  } catch (cause) {
    const reason = `failed while it was loaded: ${firstLineOf(cause)}`;
    throw new ConfigError(file, [fileMistake(reason, positionIn(file, cause))], { cause });
  }
  const value = run.namespace["default"];
  if (value === undefined) {
    const reason = "has no default export; write `export default defineGateway({ … })`";
    throw new ConfigError(file, [fileMistake(reason)]);
  }
  return { ...valueSource(value), modules: run.modules };
}

// A syntax error names its place in the first line of the stack, any other in the first frame within the file.
function positionIn(file: string, error: unknown): Position | undefined {
  if (!(error instanceof Error) || error.stack === undefined) return undefined;
  const name = RegExp.escape(file);
  const frame = new RegExp(`${name}(?:\\?[\\w=-]+)?:(\\d+)(?::(\\d+))?`).exec(error.stack);
  return frame === null ? undefined : { line: Number(frame[1]), column: Number(frame[2] ?? 1) };
}
