import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { describe, test } from "node:test";
import { systemClock, type Clock } from "@tidegate/clock";
import { tasksUnderTest, type Answer, type TasksUnderTest } from "./tasks-under-test.ts";

function poster(tasks: TasksUnderTest) {
  return (person: string, key: string, body: object): Promise<Answer> =>
    tasks.call(person, "POST /tasks", { body, headers: { "idempotency-key": key } });
}

describe("Idempotency-Key", () => {
  test("the same key and body answer the same task and create one", async () => {
    await using tasks = await tasksUnderTest();
    const post = poster(tasks);
    const first = await post("ada", "key-1", { title: "a", tags: ["x"] });
    assert.equal(first.status, 201);
    assert.equal(first.headers.get("idempotency-replayed"), null);
    // The task as it was then, although it has changed and gone since.
    await tasks.call("ada", `DELETE /tasks/${first.body.id}`, { headers: { "if-match": "*" } });
    const again = await post("ada", '"key-1"', { tags: ["x"], title: "a", notes: "" });
    assert.equal(again.status, 201);
    assert.equal(again.headers.get("idempotency-replayed"), "true");
    assert.deepEqual(again.body, first.body);
    assert.equal(again.headers.get("etag"), first.headers.get("etag"));
    assert.equal(again.headers.get("location"), first.headers.get("location"));
    assert.equal((await tasks.call("ada", "GET /tasks")).body.items.length, 0);
  });

  test("the same key with another body is 422; another person's same key is their own", async () => {
    await using tasks = await tasksUnderTest();
    const post = poster(tasks);
    const first = await post("ada", "k", { title: "a" });
    const other = await post("ada", "k", { title: "b" });
    assert.equal(other.status, 422);
    assert.match(other.body.type, /#idempotency-key-reused$/);
    const grace = await post("grace", "k", { title: "b" });
    assert.equal(grace.status, 201);
    assert.notEqual(grace.body.id, first.body.id);
  });

  test("a refused request leaves its key free", async () => {
    await using tasks = await tasksUnderTest({ maxTasksPerPerson: 1 });
    const post = poster(tasks);
    assert.equal((await post("ada", "k", { title: "" })).status, 400);
    assert.equal((await post("ada", "k", { title: "a" })).status, 201);
    const full = await post("ada", "k2", { title: "b" });
    assert.equal(full.status, 409);
    assert.match(full.body.type, /#task-quota-exceeded$/);
    assert.match(full.body.detail, /you have 1 tasks/);
    assert.equal((await post("ada", "k", { title: "a" })).status, 201, "a replay needs no room");
  });

  test("of many at once, one creates and all get its answer", async () => {
    await using tasks = await tasksUnderTest();
    const post = poster(tasks);
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => post("ada", "k", { title: "a" })),
    );
    assert.deepEqual(new Set(answers.map((answer) => answer.status)), new Set([201]));
    assert.equal(new Set(answers.map((answer) => answer.text)).size, 1);
    const replayed = answers.filter((answer) => answer.headers.has("idempotency-replayed"));
    assert.equal(replayed.length, 19);
    assert.equal((await tasks.call("ada", "GET /tasks")).body.items.length, 1);
  });

  test("odd keys are 400", async () => {
    await using tasks = await tasksUnderTest();
    const post = poster(tasks);
    for (const key of ["", '""', "a b", "x".repeat(256), 'a"b', '"a']) {
      const answer = await post("ada", key, { title: "a" });
      assert.equal(answer.status, 400, key);
      assert.equal(answer.body.errors[0].pointer, "#/header/idempotency-key");
    }
    assert.equal((await post("ada", "x".repeat(255), { title: "a" })).status, 201);
  });

  test("a key is forgotten after a day, and the oldest when there are more than a thousand", async () => {
    let aheadMs = 0;
    const clock: Clock = { ...systemClock, wallMs: () => Date.now() + aheadMs };
    await using tasks = await tasksUnderTest({ clock });
    const post = async (key: string): Promise<Answer> =>
      tasks.call("", "POST /tasks", {
        body: { title: "a" },
        headers: {
          "idempotency-key": key,
          "tidegate-assertion": tasks.gateway.assertion("ada", {
            claims: {
              iat: Math.floor(clock.wallMs() / 1000),
              exp: Math.floor(clock.wallMs() / 1000) + 60,
            },
          }),
        },
      });
    const isReplayed = async (key: string): Promise<boolean> =>
      (await post(key)).headers.get("idempotency-replayed") === "true";
    await post("k");
    aheadMs = 24 * 3_600_000 - 5_000;
    assert.equal(await isReplayed("k"), true);
    aheadMs = 24 * 3_600_000 + 5_000;
    assert.equal(await isReplayed("k"), false);
    aheadMs += 1_000;
    // A thousand newer ones, written behind the service's back to save the time of a thousand commits.
    using database = new DatabaseSync(tasks.databaseFile);
    database
      .prepare(
        `insert into idempotency_keys select person, 'many-' || json_each.value, fingerprint, answer, ?
         from idempotency_keys, json_each(?) where idempotency_keys.key = 'k'`,
      )
      .run(clock.wallMs(), JSON.stringify(Array.from({ length: 999 }, (_, index) => index + 1)));
    aheadMs += 1_000;
    assert.equal(await isReplayed("k"), true, "a thousand are kept");
    assert.equal((await post("one-more")).status, 201);
    assert.equal(await isReplayed("many-999"), true);
    assert.equal(await isReplayed("k"), false);
  });
});
