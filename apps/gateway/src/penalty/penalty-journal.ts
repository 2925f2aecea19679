import type { DatabaseSync } from "node:sqlite";
import type { PenaltyKind } from "./penalty-key.ts";
import { SUSPENDED, type Penalty } from "./penalty-rules.ts";
import type { PenaltyChange } from "./penalty-ledger.ts";
import { inTransaction, openSqlite } from "../store/open-sqlite.ts";

/** The form of the file. A file of a later form is not touched. */
const FORM = 1;

/**
 * What survives a restart: every known key with its penalty, in SQLite. Synchronous, so main thread only. A committed
 * penalty survives the end of the process; what the machine loses with its power is at most the last moments.
 */
export class PenaltyJournal implements Disposable {
  readonly #database: DatabaseSync;
  readonly #put: ReturnType<DatabaseSync["prepare"]>;
  readonly #delete: ReturnType<DatabaseSync["prepare"]>;

  /**
   * Opens or makes the file, readable by its owner alone.
   * @param file a path, or `:memory:`
   * @throws {Error} when it cannot be used, or was written by a later version
   */
  constructor(file: string) {
    const database = openSqlite(file, "crash");
    try {
      const form = Number(database.prepare("pragma user_version").get()?.["user_version"] ?? 0);
      if (form > FORM)
        throw new Error(`Cannot use ${file}: it has form ${form}, known is at most ${FORM}`);
      database.exec(
        `create table if not exists penalty (
           key text primary key, kind text not null, strikes integer not null,
           counted_at_ms real not null, until_ms real, started_ms real not null, reason text not null
         ) strict, without rowid; pragma user_version = ${FORM}`,
      );
      this.#put = database.prepare("insert or replace into penalty values (?, ?, ?, ?, ?, ?, ?)");
      this.#delete = database.prepare("delete from penalty where key = ?");
    } catch (error) {
      database.close();
      throw error;
    }
    this.#database = database;
  }

  /** All of it; as many as the ledger holds. `until_ms` is null for who waits for an operator. */
  load(): { readonly key: string; readonly penalty: Penalty }[] {
    const rows = this.#database.prepare("select * from penalty").all();
    return rows.map((row) => ({
      key: String(row["key"]),
      penalty: {
        kind: String(row["kind"]) as PenaltyKind,
        strikes: Number(row["strikes"]),
        countedAtMs: Number(row["counted_at_ms"]),
        untilMs: row["until_ms"] === null ? SUSPENDED : Number(row["until_ms"]),
        startedMs: Number(row["started_ms"]),
        reason: String(row["reason"]),
      },
    }));
  }

  /** Writes all or nothing. @throws when the disk does not take it */
  write(changes: readonly PenaltyChange[]): void {
    if (changes.length === 0) return;
    inTransaction(this.#database, () => {
      for (const { key, penalty } of changes) {
        if (penalty === undefined) {
          this.#delete.run(key);
          continue;
        }
        const { kind, strikes, countedAtMs, untilMs, startedMs, reason } = penalty;
        const until = untilMs === SUSPENDED ? null : untilMs;
        this.#put.run(key, kind, strikes, countedAtMs, until, startedMs, reason);
      }
    });
  }

  [Symbol.dispose](): void {
    if (this.#database.isOpen) this.#database.close();
  }
}
