import type { DatabaseSync, StatementSync } from "node:sqlite";
import { inTransaction, openSqlite } from "./open-sqlite.ts";

/**
 * The gateway's own database, `gateway.sqlite` in the data folder: one file for all parts that keep rows. Opened by
 * the main thread alone; each part has tables of its own and brings them to its newest form by itself.
 */
export class GatewayDatabase implements Disposable {
  readonly #file: string;
  readonly #database: DatabaseSync;

  /** @param file a path, or `:memory:` @throws {Error} when it cannot be used */
  constructor(file: string) {
    this.#file = file;
    this.#database = openSqlite(file, "power-loss");
    this.#database.exec(
      "create table if not exists part (name text primary key, form integer not null) strict",
    );
  }

  /**
   * Brings a part's tables to their newest form, all steps or none.
   * @param steps SQL that leads from each form to the next; only ever appended to
   * @throws {Error} when the file was written by a later version
   */
  prepareTables(part: string, steps: readonly string[]): void {
    inTransaction(this.#database, () => {
      const row = this.#database.prepare("select form from part where name = ?").get(part);
      const form = Number(row?.["form"] ?? 0);
      if (form > steps.length)
        throw new Error(
          `Cannot use ${this.#file}: its ${part} have form ${form}, known is at most ${steps.length}`,
        );
      for (const step of steps.slice(form)) this.#database.exec(step);
      this.#database.prepare("insert or replace into part values (?, ?)").run(part, steps.length);
    });
  }

  /** Of the part's own tables. */
  prepare(sql: string): StatementSync {
    return this.#database.prepare(sql);
  }

  /** All or nothing; not inside another one. @throws what `work` throws, or the disk's refusal */
  transaction<Result>(work: () => Result): Result {
    return inTransaction(this.#database, work);
  }

  [Symbol.dispose](): void {
    if (this.#database.isOpen) this.#database.close();
  }
}
