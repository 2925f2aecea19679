import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { tasksUnderTest, type TasksUnderTest } from "./tasks-under-test.ts";

let tasks: TasksUnderTest;
before(async () => {
  tasks = await tasksUnderTest();
});
after(() => tasks[Symbol.asyncDispose]());

const CHANGES = [
  { method: "PUT", body: { title: "b" }, status: 200 },
  { method: "PATCH", body: { title: "b" }, status: 200 },
  { method: "DELETE", status: 204 },
] as const;

describe("If-Match", () => {
  for (const { method, status, ...rest } of CHANGES) {
    test(`${method} needs it, refuses an old, weak or odd one, and takes the current one or *`, async () => {
      const { task, etag } = await tasks.create("ada", { title: "a" });
      const change = (ifMatch?: string): ReturnType<TasksUnderTest["call"]> =>
        tasks.call("ada", `${method} /tasks/${task.id}`, {
          ...rest,
          headers: ifMatch === undefined ? {} : { "if-match": ifMatch },
        });
      assert.match(etag, /^"[^"]+"$/);
      const missing = await change();
      assert.equal(missing.status, 428);
      assert.match(missing.body.type, /#precondition-required$/);
      for (const stale of ['"0-0"', `W/${etag}`, '"a", "b"']) {
        const refused = await change(stale);
        assert.equal(refused.status, 412, stale);
        assert.equal(refused.headers.get("etag"), etag, "the answer names the current version");
      }
      for (const odd of [etag.replaceAll('"', ""), `${etag}${etag}`, "", '"unclosed', "*,*"]) {
        const refused = await change(odd);
        assert.equal(refused.status, 400, odd);
      }
      assert.equal((await tasks.call("ada", `GET /tasks/${task.id}`)).headers.get("etag"), etag);
      assert.equal((await change(`"other", ${etag}`)).status, status);
    });
  }

  test("of two who read the same version, one wins and the other is told", async () => {
    const { task, etag } = await tasks.create("ada", { title: "a" });
    const headers = { "if-match": etag };
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        tasks.call("ada", `PATCH /tasks/${task.id}`, { headers, body: { title: `by ${index}` } }),
      ),
    );
    const statuses = answers.map((answer) => answer.status).sort((a, b) => a - b);
    assert.deepEqual(statuses, [200, ...Array.from({ length: 9 }, () => 412)]);
  });

  test("a change that changes nothing keeps version and tag", async () => {
    const { task, etag } = await tasks.create("ada", { title: "a", tags: ["x"] });
    const same = await tasks.call("ada", `PATCH /tasks/${task.id}`, {
      headers: { "if-match": etag },
      body: { title: "a", tags: ["x"] },
    });
    assert.equal(same.status, 200);
    assert.equal(same.headers.get("etag"), etag);
    assert.deepEqual(same.body, task);
  });

  test("POST move honours it and does not need it", async () => {
    const { task } = await tasks.create("ada", { title: "a" });
    const move = (headers = {}): ReturnType<TasksUnderTest["call"]> =>
      tasks.call("ada", `POST /tasks/${task.id}/move`, { headers, body: { to: "first" } });
    assert.equal((await move({ "if-match": '"0-0"' })).status, 412);
    assert.equal((await move()).status, 200);
  });
});

describe("If-None-Match", () => {
  test("a task that is current is 304 without a body, a changed one 200", async () => {
    const { task, etag } = await tasks.create("bob", { title: "a" });
    const ask = (field: string): ReturnType<TasksUnderTest["call"]> =>
      tasks.call("bob", `GET /tasks/${task.id}`, { headers: { "if-none-match": field } });
    for (const field of [etag, `W/${etag}`, `"x", ${etag}`, "*"]) {
      const answer = await ask(field);
      assert.equal(answer.status, 304, field);
      assert.equal(answer.text, "");
      assert.equal(answer.headers.get("etag"), etag);
    }
    for (const field of ['"x"', "odd", etag.replaceAll('"', "")]) {
      assert.equal((await ask(field)).status, 200, field);
    }
    await tasks.call("bob", `PATCH /tasks/${task.id}`, {
      headers: { "if-match": "*" },
      body: { title: "b" },
    });
    assert.equal((await ask(etag)).status, 200);
  });

  test("a list is 304 until any of the person's tasks changes", async () => {
    const { task } = await tasks.create("carol", { title: "a" });
    const first = await tasks.call("carol", "GET /tasks");
    const headers = { "if-none-match": first.headers.get("etag") ?? "" };
    assert.equal((await tasks.call("carol", "GET /tasks", { headers })).status, 304);
    await tasks.create("somebody else", { title: "b" });
    assert.equal((await tasks.call("carol", "GET /tasks", { headers })).status, 304);
    await tasks.call("carol", `DELETE /tasks/${task.id}`, { headers: { "if-match": "*" } });
    assert.equal((await tasks.call("carol", "GET /tasks", { headers })).status, 200);
  });
});
