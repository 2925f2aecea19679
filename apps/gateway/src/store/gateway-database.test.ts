import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { test } from "node:test";
import { tempFolder } from "@tidegate/testkit";
import { GatewayDatabase } from "./gateway-database.ts";

test("prepareTables() refuses a later form, brings an earlier one up, and leaves nothing of a step that fails", async () => {
  await using folder = await tempFolder();
  const file = folder.file("gateway.sqlite");
  const steps = [
    "create table fruit (name text) strict",
    "alter table fruit add column colour text",
  ];
  {
    using database = new GatewayDatabase(file);
    database.prepareTables("fruit", steps.slice(0, 1));
    database.prepare("insert into fruit values (?)").run("apple");
    assert.throws(() => database.prepareTables("fruit", [...steps, "nonsense"]));
    database.prepareTables("fruit", steps);
    database.prepareTables("fruit", steps);
    database.prepareTables("vegetables", ["create table vegetable (name text) strict"]);
  }
  using database = new GatewayDatabase(file);
  assert.throws(
    () => database.prepareTables("fruit", steps.slice(0, 1)),
    /form 2, known is at most 1/,
  );
  const rows = database.prepare("select * from fruit").all();
  assert.deepEqual({ ...rows[0] }, { name: "apple", colour: null });
});

test("GatewayDatabase is readable by its owner alone, the write-ahead log included", async () => {
  await using folder = await tempFolder();
  const file = folder.file("gateway.sqlite");
  using database = new GatewayDatabase(file);
  database.prepareTables("fruit", ["create table fruit (name text) strict"]);
  for (const name of [file, `${file}-wal`]) assert.equal(statSync(name).mode & 0o777, 0o600, name);
});

test("transaction() keeps all or nothing", () => {
  using database = new GatewayDatabase(":memory:");
  database.prepareTables("fruit", ["create table fruit (name text) strict"]);
  const put = database.prepare("insert into fruit values (?)");
  assert.throws(() =>
    database.transaction(() => {
      put.run("apple");
      throw new Error("as planned");
    }),
  );
  database.transaction(() => put.run("pear"));
  assert.deepEqual(
    database
      .prepare("select name from fruit")
      .all()
      .map((row) => row["name"]),
    ["pear"],
  );
});
