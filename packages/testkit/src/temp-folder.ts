import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface TempFolder extends AsyncDisposable {
  /** Absolute path. */
  readonly path: string;
  /** Absolute path of something in the folder. */
  file(...names: string[]): string;
}

/** An empty folder of mode 0700 that is gone, with all it holds, when it is disposed of. */
export async function tempFolder(): Promise<TempFolder> {
  const path = await mkdtemp(join(tmpdir(), "tidegate-test-"));
  return {
    path,
    file: (...names) => join(path, ...names),
    // A server that was killed may still be writing when its folder goes: a few retries cover that.
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 5 }),
  };
}
