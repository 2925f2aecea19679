import { readFile, stat } from "node:fs/promises";
import type { Clock, Timer } from "@tidegate/clock";

/** What a file says now. */
export interface WatchedFile<Value> extends Disposable {
  /** Replaced whole when the file changes. */
  readonly current: Value;
}

/**
 * Reads a file, and reads it again when it changes, so that a change holds within two seconds. One that cannot be used is
 * reported and leaves what was before.
 * @param options.what what the file is, for messages
 * @param options.parse throws when the text cannot be used
 * @param options.follow what a changed file comes to after `before`; throws when it must not follow it
 * @throws {Error} when it cannot be used at the start
 */
export async function watchFile<Value>({
  path,
  what,
  clock,
  parse,
  follow,
  onReload,
}: {
  readonly path: string;
  readonly what: string;
  readonly clock: Clock;
  readonly parse: (text: string, source: string) => Value;
  readonly follow: (before: Value, loaded: Value) => Value;
  /** Told about every changed file: undefined when it was taken, else why not. Must not throw. */
  readonly onReload?: ((problem: Error | undefined) => void) | undefined;
}): Promise<WatchedFile<Value>> {
  /** Different whenever the file was written or replaced. */
  const stampOf = async (): Promise<string> => {
    const { ino, size, mtimeNs } = await stat(path, { bigint: true }).catch(unreadable);
    return `${ino} ${size} ${mtimeNs}`;
  };
  const read = async (): Promise<Value> =>
    parse(await readFile(path, "utf8").catch(unreadable), path);
  const unreadable = (cause: unknown): never => {
    const reason =
      cause instanceof Error && "code" in cause ? String(cause.code) : "unknown reason";
    throw new Error(`Cannot read the ${what} ${path}: ${reason}`, { cause });
  };

  let stamp = await stampOf();
  let current: Value = await read();
  let isClosed = false;
  let timer: Timer;

  const look = async (): Promise<void> => {
    try {
      const newStamp = await stampOf();
      if (newStamp !== stamp) {
        stamp = newStamp;
        current = follow(current, await read());
        onReload?.(undefined);
      }
    } catch (error) {
      onReload?.(error instanceof Error ? error : new Error(String(error)));
    }
    if (!isClosed) timer = clock.after(LOOK_EVERY_MS, () => void look());
  };
  timer = clock.after(LOOK_EVERY_MS, () => void look());

  return {
    get current() {
      return current;
    },
    [Symbol.dispose]() {
      isClosed = true;
      timer.cancel();
    },
  };
}

/** One `stat` in two seconds costs nothing, and works where watching does not (network and container mounts). */
const LOOK_EVERY_MS = 2_000;
