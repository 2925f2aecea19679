import { readFile, stat } from "node:fs/promises";
import type { Clock, Timer } from "@tidegate/clock";
import { parseUsersFile, type User, type UsersFile } from "./users-file.ts";

/** The users file as it is now. */
export interface UsersSource extends Disposable {
  /** Replaced whole when the file changes; users whose entry did not change stay the same objects. */
  readonly current: UsersFile;
}

/**
 * Reads the users file, and reads it again when it changes, so that a changed password or a removed user holds within
 * two seconds. A change that cannot be used is reported and leaves the users of before.
 * @throws {Error} when it cannot be used at the start
 */
export async function openUsersFile({
  path,
  clock,
  onReload,
}: {
  readonly path: string;
  readonly clock: Clock;
  /** Told about every changed file: undefined when it was taken, else why not. Must not throw. */
  readonly onReload?: (problem: Error | undefined) => void;
}): Promise<UsersSource> {
  let stamp = await stampOf(path);
  let current = await read(path);
  let isClosed = false;
  let timer: Timer;

  const look = async (): Promise<void> => {
    try {
      const newStamp = await stampOf(path);
      if (newStamp !== stamp) {
        stamp = newStamp;
        const loaded = await read(path);
        if (loaded.issuer !== current.issuer) {
          throw new Error(`Cannot use the users file ${path}: its name changed; restart for that`);
        }
        current = keepUnchanged(current, loaded);
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

/** Different whenever the file was written or replaced. */
async function stampOf(path: string): Promise<string> {
  try {
    const { ino, size, mtimeNs } = await stat(path, { bigint: true });
    return `${ino} ${size} ${mtimeNs}`;
  } catch (cause) {
    throw new Error(`Cannot read the users file ${path}: ${reasonOf(cause)}`, { cause });
  }
}

async function read(path: string): Promise<UsersFile> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    throw new Error(`Cannot read the users file ${path}: ${reasonOf(cause)}`, { cause });
  }
  return parseUsersFile(text, path);
}

const reasonOf = (cause: unknown): string =>
  cause instanceof Error && "code" in cause ? String(cause.code) : "unknown reason";

function keepUnchanged(before: UsersFile, loaded: UsersFile): UsersFile {
  const users = new Map<string, User>();
  for (const [name, user] of loaded.users) {
    const old = before.users.get(name);
    users.set(name, old?.text === user.text ? old : user);
  }
  return { issuer: loaded.issuer, users };
}
