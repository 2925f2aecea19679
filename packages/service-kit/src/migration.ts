import type { DatabaseSync } from "node:sqlite";

/** One step of a schema. Steps are numbered by their place in the list; one that has shipped is never changed. */
export interface Migration {
  readonly name: string;
  /** Statements, run inside the transaction that also notes the step. */
  readonly sql: string;
}

/**
 * Brings a database to the newest schema, each step in a transaction of its own: after a crash the file is at
 * some whole step, and the next start goes on from there. The number is kept in the file (`user_version`).
 * @throws {Error} when the file is newer than this program, which might misread what it finds
 */
export function migrate(database: DatabaseSync, migrations: readonly Migration[]): void {
  const version = schemaVersion(database);
  if (version > migrations.length) {
    throw new Error(
      `Cannot open the database: its schema is version ${version}, this program knows ${migrations.length}; run the newer program, or restore a backup`,
    );
  }
  for (const [index, migration] of migrations.entries()) {
    if (index < version) continue;
    database.exec("begin immediate");
    try {
      // Another process may have done the step while this one waited for the lock.
      if (schemaVersion(database) === index) {
        database.exec(migration.sql);
        database.exec(`pragma user_version = ${index + 1}`);
      }
      database.exec("commit");
    } catch (cause) {
      if (database.isTransaction) database.exec("rollback");
      throw new Error(`Cannot migrate the database: step ${index + 1} (${migration.name}) failed`, {
        cause,
      });
    }
  }
}

function schemaVersion(database: DatabaseSync): number {
  return Number(database.prepare("pragma user_version").get()?.["user_version"]);
}
