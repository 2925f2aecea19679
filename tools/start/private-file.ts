import { chmodSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";

/**
 * Makes the folder, or makes an existing one private: mode 0700.
 * @throws {Error} when it belongs to somebody else, who could then read or replace what is in it
 */
export function makePrivateFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const { uid } = statSync(path);
  if (uid !== process.getuid?.()) {
    throw new Error(`Cannot use the data folder ${path}: it belongs to user id ${uid}`);
  }
  chmodSync(path, 0o700);
}

/** Writes a file of mode 0600 whole or not at all: a crash leaves the old content. */
export function writePrivateFile(path: string, content: string): void {
  const fresh = `${path}.new`;
  writeFileSync(fresh, content, { mode: 0o600, flush: true });
  chmodSync(fresh, 0o600);
  renameSync(fresh, path);
}

/** The JSON in a file; undefined when there is no such file. @throws {Error} naming the file when it is not JSON */
export function readJsonFile(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Error(`Cannot read ${path}: it is not JSON. Remove it to have it made again`, {
      cause,
    });
  }
}
