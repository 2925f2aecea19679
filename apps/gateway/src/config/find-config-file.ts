import { readdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { ConfigError, fileMistake, firstLineOf } from "./config-error.ts";
import { CONFIG_EXTENSIONS } from "./read-config-source.ts";

/** Names that are looked for, such as `tidegate.config.ts`. */
export const CONFIG_FILE_NAMES = CONFIG_EXTENSIONS.map(
  (extension) => `tidegate.config${extension}`,
);

/**
 * The configuration file to use: the one that was named, or in a folder (the working folder when nothing was named) the
 * only one of the usual names.
 * @throws {ConfigError} when there is none, or more than one to choose from
 */
export async function findConfigFile(named: string | undefined, folder: string): Promise<string> {
  const place = named === undefined ? folder : resolve(folder, named);
  const isFolder = await stat(place).then(
    (stats) => stats.isDirectory(),
    (cause: unknown) => {
      throw new ConfigError(named ?? place, [fileMistake(`cannot be read: ${firstLineOf(cause)}`)]);
    },
  );
  if (!isFolder) return place;
  const files = new Set(await readdir(place));
  const found = CONFIG_FILE_NAMES.filter((name) => files.has(name));
  const [only, ...others] = found;
  if (only === undefined) {
    const reason = "no configuration is in this folder; `tidegate init` writes one";
    throw new ConfigError(place, [
      { ...fileMistake(reason), allowed: CONFIG_FILE_NAMES.join(", ") },
    ]);
  }
  if (others.length > 0) {
    throw new ConfigError(place, [
      fileMistake(
        `several configurations are in this folder: ${found.join(", ")}; name the one you mean`,
      ),
    ]);
  }
  return join(place, only);
}
