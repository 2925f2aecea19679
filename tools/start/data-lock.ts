// One launcher per data folder. The lock is a file that names its holder so exactly that a dead one is recognised: a process
// id alone may have been given to somebody else since.

import { linkSync, readFileSync, renameSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface DataLock extends Disposable {
  /** Whether a launcher that ended without cleaning up held it before; what it started may still be ending. */
  readonly isTakenOver: boolean;
}

interface Holder {
  readonly pid: number;
  /** When the process started, in clock ticks after boot, and the boot's id: never twice the same with `pid`. */
  readonly startedAt: string;
}

const FILE_NAME = "launcher.lock";

/** @throws {Error} naming the process that holds the folder */
export function lockDataFolder(folder: string): DataLock {
  const path = join(folder, FILE_NAME);
  const me = JSON.stringify({ pid: process.pid, startedAt: startOf(process.pid) });
  const mine = `${path}.${process.pid}`;
  // Linked into place whole: nobody ever reads half a lock.
  writeFileSync(mine, me, { mode: 0o600 });
  try {
    let isTakenOver = false;
    while (!tryLink(mine, path)) {
      const found = readLock(path);
      if (found === undefined) continue;
      const holder = parseHolder(found);
      if (holder && startOf(holder.pid) === holder.startedAt) {
        throw new Error(
          `Cannot start: process ${holder.pid} already runs on the data folder ${folder}. Stop it, or set TIDEGATE_DATA to another folder`,
        );
      }
      removeStale(path, found);
      isTakenOver = true;
    }
    return {
      isTakenOver,
      [Symbol.dispose]() {
        if (readLock(path) === me) unlinkSync(path);
      },
    };
  } finally {
    unlinkSync(mine);
  }
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    throw error;
  }
}

/** Removes the lock if it still is the dead holder's: another launcher may have replaced it since it was read. */
function removeStale(path: string, stale: string): void {
  const aside = `${path}.stale.${process.pid}`;
  try {
    renameSync(path, aside);
  } catch {
    // Somebody else removed it first, which is as good.
    return;
  }
  if (readLock(aside) !== stale) tryLink(aside, path);
  unlinkSync(aside);
}

function readLock(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // It went away between two looks: its holder has just stopped.
    return undefined;
  }
}

function parseHolder(text: string): Holder | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null) return undefined;
    const { pid, startedAt } = value as Record<string, unknown>;
    return typeof pid === "number" && typeof startedAt === "string"
      ? { pid, startedAt }
      : undefined;
  } catch {
    // Not a lock of ours, or cut short by a full disk: nobody can be named, so nobody holds it.
    return undefined;
  }
}

/** proc(5): field 22 of /proc/<pid>/stat; the command in field 2 may contain blanks and parentheses. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const state = fields[0];
    // A zombie holds nothing any more; it only waits for its parent to notice.
    if (state === "Z" || state === "X") return undefined;
    return `${fields[19]} ${readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim()}`;
  } catch {
    return undefined;
  }
}
