import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import {
  CompiledQuery,
  SqliteDialect,
  SqliteDriver,
  type DatabaseConnection,
  type Driver,
  type SqliteDatabase,
  type SqliteStatement,
} from "kysely";

/**
 * Kysely over Node's own SQLite. Kysely brings the SQL and one connection that it hands out to one user at a
 * time, so that no query of one request runs inside the transaction of another; this file only fits the calls.
 */
export class NodeSqliteDialect extends SqliteDialect {
  readonly #database: SqliteDatabase;

  constructor(database: DatabaseSync) {
    const adapted = adapt(database);
    super({ database: adapted });
    this.#database = adapted;
  }

  override createDriver(): Driver {
    return new ImmediateDriver({ database: this.#database });
  }
}

/**
 * Takes the write lock when a transaction begins. A deferred one that reads first may fail later, in the middle,
 * because somebody else wrote meanwhile (SQLITE_BUSY_SNAPSHOT), and no busy timeout helps against that.
 */
class ImmediateDriver extends SqliteDriver {
  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw("begin immediate"));
  }
}

// Queries come from a fixed set of functions, some with a handful of optional parts: 200 holds them all several
// times over. When full, the least recently used statement is forgotten and would be prepared again.
const MOST_STATEMENTS = 200;

function adapt(database: DatabaseSync): SqliteDatabase {
  const statements = new Map<string, SqliteStatement>();
  return {
    close: () => {
      statements.clear();
      database.close();
    },
    prepare(sql) {
      const known = statements.get(sql);
      if (known !== undefined) {
        statements.delete(sql);
        statements.set(sql, known);
        return known;
      }
      const statement = adaptStatement(database.prepare(sql));
      statements.set(sql, statement);
      if (statements.size > MOST_STATEMENTS) {
        for (const oldest of statements.keys()) {
          statements.delete(oldest);
          break;
        }
      }
      return statement;
    },
  };
}

function adaptStatement(statement: StatementSync): SqliteStatement {
  return {
    // A statement that has columns answers rows: select, and insert/update/delete with returning.
    reader: statement.columns().length > 0,
    all: (parameters) => statement.all(...parameters.map(toInput)),
    run: (parameters) => statement.run(...parameters.map(toInput)),
    iterate: (parameters) => statement.iterate(...parameters.map(toInput)),
  };
}

/** A parameter as SQLite takes it. A boolean, an object or undefined is a bug of the caller and would be stored as something else. */
function toInput(value: unknown): SQLInputValue {
  switch (typeof value) {
    case "string":
    case "number":
    case "bigint":
      return value;
    default:
      if (value === null || value instanceof Uint8Array) return value;
      throw new TypeError(`Cannot bind a ${typeof value} to a statement`);
  }
}
