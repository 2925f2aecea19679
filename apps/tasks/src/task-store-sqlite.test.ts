import assert from "node:assert/strict";
import { test } from "node:test";
import { manualClock, systemRandom } from "@tidegate/clock";
import { Database } from "@tidegate/service-kit";
import { KEPT_CHANGES, readChanges } from "./change-log.ts";
import { MIGRATIONS, type TaskTables } from "./schema.ts";
import { openTaskStore } from "./task-store-sqlite.ts";
import { taskStoreContract } from "./task-store.contract.ts";
import { toContent } from "./task.ts";

const openDatabase = (): Database<TaskTables> =>
  Database.open<TaskTables>({ file: ":memory:", migrations: MIGRATIONS });

taskStoreContract("SQLite", async ({ told, ...options }) => {
  const database = openDatabase();
  const store = await openTaskStore({ ...options, random: systemRandom, database, changed: told });
  return { store, [Symbol.asyncDispose]: () => database[Symbol.asyncDispose]() };
});

test("the log keeps the newest ten thousand changes", async () => {
  await using database = openDatabase();
  const store = await openTaskStore({
    database,
    clock: manualClock(1_800_000_000_000),
    random: systemRandom,
    maxTasksPerPerson: 10,
    changed: () => undefined,
  });
  const ada = { source: "s", subject: "ada" };
  const { task } = await store.create(ada, toContent({ title: "a" }));
  // Counted on from there, as if that many had come and been kept.
  await database.query.updateTable("people").set({ sequence: KEPT_CHANGES }).execute();
  await store.update(ada, task.id, () => toContent({ title: "b" }));
  assert.equal(await store.changesAfter(ada, 0, 1), undefined);
  const kept = await database.query.selectFrom("changes").select("sequence").execute();
  assert.deepEqual(
    kept.map((row) => row.sequence),
    [KEPT_CHANGES + 1],
  );
});

test("readChanges() does not pass over what a sweep took between its two reads", async () => {
  await using database = openDatabase();
  const store = await openTaskStore({
    database,
    clock: manualClock(1_800_000_000_000),
    random: systemRandom,
    maxTasksPerPerson: 10,
    changed: () => undefined,
  });
  for (const title of ["a", "b", "c"]) {
    await store.create({ source: "s", subject: "ada" }, toContent({ title }));
  }
  const { query } = database;
  const person = await query.selectFrom("people").selectAll().executeTakeFirstOrThrow();
  const read = async (after: number): Promise<number | undefined> =>
    (await readChanges(query, person, { after, limit: 10 }))?.length;
  await query.deleteFrom("changes").where("sequence", "=", 1).execute();
  assert.equal(await read(0), undefined);
  assert.equal(await read(1), 2);
  await query.deleteFrom("changes").execute();
  assert.equal(await read(1), undefined);
  assert.equal(await read(3), 0);
});

test("the counters of a person agree with the rows, and the index of the search with the tasks", async () => {
  await using database = openDatabase();
  const store = await openTaskStore({
    database,
    clock: manualClock(1_800_000_000_000),
    random: systemRandom,
    maxTasksPerPerson: 10,
    changed: () => undefined,
  });
  const ada = { source: "s", subject: "ada" };
  const made = await Promise.all(
    ["ä", "b", "c"].map((title) => store.create(ada, toContent({ title }))),
  );
  await store.update(ada, made[0]?.task.id ?? "", () =>
    toContent({ title: "ü", notes: "ß".repeat(100) }),
  );
  await store.remove(ada, made[1]?.task.id ?? "", () => undefined);
  const person = await database.query.selectFrom("people").selectAll().executeTakeFirstOrThrow();
  const changes = await database.query.selectFrom("changes").selectAll().execute();
  const bytes = changes.reduce((sum, change) => sum + Buffer.byteLength(change.body ?? ""), 0);
  assert.deepEqual([person.task_count, person.sequence, person.log_bytes], [2, 5, bytes]);
  for (const [q, count] of [
    ["u", 1],
    ["a", 0],
    ["b", 0],
    ["c", 1],
  ] as const) {
    assert.equal((await store.list(ada, { q })).items.length, count, q);
  }
});
