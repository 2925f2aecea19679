import {
  chmodSync,
  closeSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from "node:fs";

/**
 * The JSON in a file of the data folder; undefined when there is no such file.
 * @throws {Error} naming the file when it is not JSON: it is never replaced by a new one, which would end every session
 */
export function readPrivateJson(path: string): unknown {
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
    throw new Error(`Cannot read ${path}: it is not JSON`, { cause });
  }
}

/** Writes a file of mode 0600 whole or not at all: a crash leaves the old content. */
export function writePrivateJson(path: string, value: unknown): void {
  writePrivateText(path, `${JSON.stringify(value, undefined, 2)}\n`);
}

export function writePrivateText(path: string, text: string): void {
  const fresh = `${path}.new`;
  const handle = openSync(fresh, "w", 0o600);
  try {
    writeSync(handle, text);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  chmodSync(fresh, 0o600);
  renameSync(fresh, path);
}
