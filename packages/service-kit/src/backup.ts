import { randomBytes } from "node:crypto";
import { chmodSync, closeSync, fsyncSync, linkSync, openSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";

/**
 * Copies a live database into one new file: a single consistent state, checked and synced before it gets its name,
 * so that a file with that name is always a whole backup. Readers and writers go on meanwhile.
 * @param options.afterCopy statements run on the copy, such as those that make a restored file safe to serve
 * @throws {Error} when `to` exists, or the copy does not pass SQLite's own check
 */
export function backUp(options: {
  readonly from: string;
  readonly to: string;
  readonly afterCopy?: string;
}): void {
  const partial = `${options.to}.${randomBytes(6).toString("hex")}.partial`;
  try {
    copy(options.from, partial);
    finish(partial, options.afterCopy ?? "");
    sync(partial);
    // A link, because it fails if the name is taken; a rename would replace the older backup.
    linkSync(partial, options.to);
    sync(dirname(options.to));
  } finally {
    for (const suffix of ["", "-wal", "-shm", "-journal"])
      rmSync(partial + suffix, { force: true });
  }
}

function copy(from: string, to: string): void {
  using source = new DatabaseSync(from, { readOnly: true, timeout: 5_000 });
  // The empty file first, so that what a person wrote is never readable by others, not even while it is copied.
  closeSync(openSync(to, "wx", 0o600));
  source.prepare("vacuum into ?").run(to);
  chmodSync(to, 0o600);
}

function finish(file: string, statements: string): void {
  using database = new DatabaseSync(file);
  if (statements !== "") database.exec(`begin; ${statements}; commit`);
  const answer = database.prepare("pragma integrity_check").get()?.["integrity_check"];
  if (answer !== "ok")
    throw new Error(`Cannot back up: the copy fails its check: ${String(answer)}`);
}

function sync(path: string): void {
  const handle = openSync(path, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
