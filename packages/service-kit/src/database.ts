import { chmodSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Kysely } from "kysely";
import { migrate, type Migration } from "./migration.ts";
import { NodeSqliteDialect } from "./sqlite-dialect.ts";

/** An open database: typed queries for the service, and the file's own handle for what Kysely has no words for. */
export class Database<Tables> implements AsyncDisposable {
  readonly query: Kysely<Tables>;
  readonly #handle: DatabaseSync;
  #isClosed = false;

  private constructor(handle: DatabaseSync) {
    this.#handle = handle;
    this.query = new Kysely<Tables>({ dialect: new NodeSqliteDialect(handle) });
  }

  /**
   * Opens (or makes) the file, readable by its owner alone, and brings its schema up to date.
   * Committed means on disk: the journal is a WAL that is synced at every commit.
   * @throws {Error} when the file cannot be opened, or was written by a newer version of the service
   */
  static open<Tables>(options: {
    /** A path, or `:memory:`. */
    readonly file: string;
    readonly migrations: readonly Migration[];
    /** How long a writer waits for another process, such as a backup, before it gives up. */
    readonly busyTimeoutMs?: number;
  }): Database<Tables> {
    if (options.file !== ":memory:") {
      mkdirSync(dirname(options.file), { recursive: true, mode: 0o700 });
    }
    const handle = new DatabaseSync(options.file, {
      enableForeignKeyConstraints: true,
      enableDoubleQuotedStringLiterals: false,
      timeout: options.busyTimeoutMs ?? 5_000,
    });
    try {
      if (options.file !== ":memory:") chmodSync(options.file, 0o600);
      handle.exec(
        "pragma journal_mode = wal; pragma synchronous = full; pragma trusted_schema = off",
      );
      migrate(handle, options.migrations);
    } catch (error) {
      handle.close();
      throw error;
    }
    return new Database<Tables>(handle);
  }

  /** Whether the file answers. Synchronous and short: for the readiness probe. @throws when it does not */
  probe(): void {
    this.#handle.prepare("select 1").get();
  }

  /** Folds the journal into the file and closes it. Safe to call again. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.query.destroy();
    // Kysely closes the file only if a query went through it.
    if (this.#handle.isOpen) this.#handle.close();
  }
}
