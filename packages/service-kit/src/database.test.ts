import assert from "node:assert/strict";
import { existsSync, readdirSync, statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { describe, test } from "node:test";
import { tempFolder } from "@tidegate/testkit";
import { sql } from "kysely";
import { backUp } from "./backup.ts";
import { Database } from "./database.ts";
import type { Migration } from "./migration.ts";

interface Tables {
  notes: { number: number; text: string };
}

const first: Migration = {
  name: "notes",
  sql: "create table notes (number integer primary key, text text not null) strict",
};
const second: Migration = { name: "marks", sql: "alter table notes add column mark text" };
const broken: Migration = { name: "broken", sql: "create table half (a text); create nonsense" };

const versionOf = (file: string): unknown => {
  using database = new DatabaseSync(file, { readOnly: true });
  return database.prepare("pragma user_version").get()?.["user_version"];
};

describe("Database.open()", () => {
  test("refuses a newer schema and leaves the file as it is", async () => {
    await using folder = await tempFolder();
    const file = folder.file("a.sqlite");
    await Database.open({ file, migrations: [first, second] })[Symbol.asyncDispose]();
    assert.throws(
      () => Database.open({ file, migrations: [first] }),
      /schema is version 2, this program knows 1/,
    );
    assert.equal(versionOf(file), 2);
  });

  test("keeps a failed step out whole, names it, and goes on from there the next time", async () => {
    await using folder = await tempFolder();
    const file = folder.file("a.sqlite");
    assert.throws(() => Database.open({ file, migrations: [first, broken] }), /step 2 \(broken\)/);
    assert.equal(versionOf(file), 1);
    await using database = Database.open<Tables>({ file, migrations: [first, second] });
    const tables = await sql<{ name: string }>`select name from sqlite_schema`.execute(
      database.query,
    );
    assert.deepEqual(
      tables.rows.map((row) => row.name),
      ["notes"],
    );
    assert.equal(versionOf(file), 2);
  });

  test("gives a WAL that is synced at commit, foreign keys, and a private file", async () => {
    await using folder = await tempFolder();
    const file = folder.file("deep", "a.sqlite");
    await using database = Database.open<Tables>({ file, migrations: [first] });
    const pragma = async (name: string): Promise<unknown> =>
      Object.values((await sql.raw(`pragma ${name}`).execute(database.query)).rows[0] as object)[0];
    assert.equal(await pragma("journal_mode"), "wal");
    assert.equal(await pragma("synchronous"), 2);
    assert.equal(await pragma("foreign_keys"), 1);
    assert.equal(await pragma("busy_timeout"), 5_000);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.equal(statSync(`${file}-wal`).mode & 0o777, 0o600);
  });
});

describe("queries", () => {
  test("of others wait while a transaction runs, and see all of it or nothing", async () => {
    await using database = Database.open<Tables>({ file: ":memory:", migrations: [first] });
    const { query } = database;
    const count = async (): Promise<number> =>
      (await query.selectFrom("notes").selectAll().execute()).length;
    const gate = Promise.withResolvers<undefined>();
    const failing = query.transaction().execute(async (inside) => {
      await inside.insertInto("notes").values({ number: 1, text: "a" }).execute();
      await gate.promise;
      throw new Error("changed my mind");
    });
    const outside = count();
    gate.resolve(undefined);
    await assert.rejects(failing, /changed my mind/);
    assert.equal(await outside, 0);
    await query.transaction().execute(async (inside) => {
      await inside.insertInto("notes").values({ number: 1, text: "a" }).execute();
    });
    assert.equal(await count(), 1);
  });

  test("of a transaction cannot be overtaken by another process between its reads and its writes", async () => {
    await using folder = await tempFolder();
    const file = folder.file("a.sqlite");
    await using database = Database.open<Tables>({ file, migrations: [first] });
    using other = new DatabaseSync(file, { timeout: 0 });
    await database.query.transaction().execute(async (inside) => {
      await inside.selectFrom("notes").selectAll().execute();
      const overtake = (): unknown => other.exec("insert into notes values (1, 'theirs')");
      assert.throws(overtake, /locked/);
      await inside.insertInto("notes").values({ number: 1, text: "ours" }).execute();
    });
    assert.equal(other.prepare("select text from notes").get()?.["text"], "ours");
  });

  test("refuse what would be stored as something else", async () => {
    await using database = Database.open<Tables>({ file: ":memory:", migrations: [first] });
    for (const odd of [true, {}, ["a"]]) {
      const insert = database.query.insertInto("notes").values({ number: 1, text: odd as string });
      await assert.rejects(insert.execute(), /Cannot bind/, typeof odd);
    }
  });

  test("of more different texts than are remembered still answer", async () => {
    await using database = Database.open<Tables>({ file: ":memory:", migrations: [first] });
    for (let round = 0; round < 2; round += 1) {
      for (let index = 0; index < 450; index += 1) {
        const { rows } = await sql.raw(`select ${index} as n`).execute(database.query);
        assert.deepEqual({ ...(rows[0] as object) }, { n: index });
      }
    }
  });
});

describe("backUp()", () => {
  test("copies what is committed while writers go on, and leaves no half file", async () => {
    await using folder = await tempFolder();
    const file = folder.file("a.sqlite");
    await using database = Database.open<Tables>({ file, migrations: [first] });
    await database.query.insertInto("notes").values({ number: 1, text: "a" }).execute();
    const writing = database.query.transaction().execute(async (inside) => {
      await inside.insertInto("notes").values({ number: 2, text: "b" }).execute();
      backUp({
        from: file,
        to: folder.file("b.sqlite"),
        afterCopy: "update notes set text = 'copied'",
      });
    });
    await writing;
    using copy = new DatabaseSync(folder.file("b.sqlite"));
    assert.deepEqual(
      copy
        .prepare("select text from notes")
        .all()
        .map((row) => row["text"]),
      ["copied"],
    );
    assert.deepEqual(
      readdirSync(folder.path).filter((name) => name.includes("partial")),
      [],
    );
  });

  test("refuses a taken name and a missing database, and leaves both as they are", async () => {
    await using folder = await tempFolder();
    const file = folder.file("a.sqlite");
    await Database.open({ file, migrations: [first] })[Symbol.asyncDispose]();
    backUp({ from: file, to: folder.file("b.sqlite") });
    assert.throws(() => backUp({ from: file, to: folder.file("b.sqlite") }), /EEXIST/);
    assert.throws(() => backUp({ from: folder.file("none"), to: folder.file("c.sqlite") }));
    assert.equal(existsSync(folder.file("none")), false);
    const left = readdirSync(folder.path).filter((name) => !name.startsWith("a.sqlite"));
    assert.deepEqual(left, ["b.sqlite"]);
  });
});
