import { extname } from "node:path";
import type { ConfigSource, Environment } from "./config-source.ts";
import { readModuleSource } from "./module-source.ts";
import { readTextSource } from "./text-source.ts";

/** File names by language; also what is looked for when no file is named. */
export const CONFIG_EXTENSIONS = [".ts", ".mts", ".js", ".mjs", ".json", ".yaml", ".yml"] as const;

/**
 * @param file absolute
 * @throws {ConfigError} when no value can be made of it at all
 */
export async function readConfigSource(
  file: string,
  environment: Environment,
): Promise<ConfigSource> {
  switch (extname(file)) {
    case ".json":
      return readTextSource({ file, language: "json", environment });
    case ".yaml":
    case ".yml":
      return readTextSource({ file, language: "yaml", environment });
    default:
      return readModuleSource(file);
  }
}
