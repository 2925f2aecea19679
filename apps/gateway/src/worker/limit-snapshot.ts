import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

const FILE_NAME = "limits.snapshot";

/**
 * What limits had been spent when the gateway last stopped in order, and removes it: whatever happens now, it is
 * never restored a second time. Undefined when there is none; a file that cannot be read starts limits full, which
 * is what a crash does too.
 */
export async function takeLimitSnapshot(dataFolder: string): Promise<Uint8Array | undefined> {
  const file = join(dataFolder, FILE_NAME);
  try {
    const bytes = await readFile(file);
    await rm(file);
    return bytes;
  } catch {
    return undefined;
  }
}

/** Keeps what limits have spent for the next start. It holds the secret of the engine's hash, hence the mode. */
export async function keepLimitSnapshot(dataFolder: string, bytes: Uint8Array): Promise<void> {
  const file = join(dataFolder, FILE_NAME);
  const draft = `${file}.new`;
  await writeFile(draft, bytes, { mode: 0o600 });
  await rename(draft, file);
}
