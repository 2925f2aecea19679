import { chmodSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";

/**
 * Opens or makes a database of the gateway's own, readable by its owner alone. Synchronous, so main thread only.
 * What is committed survives the end of the process.
 * @param file a path, or `:memory:`
 * @param survives `power-loss` waits for the disk at every commit; `crash` may lose the last moments with the power
 * @throws {Error} when the file cannot be used
 */
export function openSqlite(file: string, survives: "crash" | "power-loss"): DatabaseSync {
  const database = new DatabaseSync(file, { timeout: BUSY_TIMEOUT_MS });
  try {
    // Before there is a write-ahead log, which gets the mode of the file.
    if (file !== ":memory:") chmodSync(file, 0o600);
    const synchronous = survives === "crash" ? "normal" : "full";
    database.exec(
      `pragma journal_mode = wal; pragma synchronous = ${synchronous}; pragma trusted_schema = off; pragma foreign_keys = on`,
    );
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Runs `work` in one transaction: all of it or nothing. @throws what `work` throws, or the disk's refusal */
export function inTransaction<Result>(database: DatabaseSync, work: () => Result): Result {
  database.exec("begin immediate");
  try {
    const result = work();
    database.exec("commit");
    return result;
  } catch (error) {
    // A full disk may have ended the transaction already.
    if (database.isTransaction) database.exec("rollback");
    throw error;
  }
}

/** Another process that reads the file, such as a backup, may hold it so long. */
const BUSY_TIMEOUT_MS = 1_000;
