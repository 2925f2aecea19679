import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { tasksUnderTest } from "./tasks-under-test.ts";

describe("a person's tasks", () => {
  test("POST creates with defaults, GET reads, PUT replaces, PATCH merges, DELETE removes", async () => {
    await using tasks = await tasksUnderTest();
    const created = await tasks.call("ada", "POST /tasks", { body: { title: "Buy müsli 🥣" } });
    assert.equal(created.status, 201);
    const { id } = created.body;
    assert.equal(created.headers.get("location"), `/tasks/${id}`);
    assert.deepEqual(
      { ...created.body, id: 0, position: 0, createdAt: 0, updatedAt: 0 },
      {
        id: 0,
        title: "Buy müsli 🥣",
        notes: "",
        status: "todo",
        priority: "normal",
        dueDate: null,
        tags: [],
        position: 0,
        version: 1,
        createdAt: 0,
        updatedAt: 0,
        completedAt: null,
      },
    );

    const read = await tasks.call("ada", `GET /tasks/${id}`);
    assert.deepEqual(read.body, created.body);
    assert.equal(read.headers.get("etag"), created.headers.get("etag"));
    assert.match(read.headers.get("cache-control") ?? "", /private/);

    const put = await tasks.call("ada", `PUT /tasks/${id}`, {
      headers: { "if-match": read.headers.get("etag") ?? "" },
      body: { title: "Buy bread", priority: "high", dueDate: "2026-12-24", tags: ["food", "shop"] },
    });
    assert.equal(put.status, 200, put.text);
    assert.equal(put.body.title, "Buy bread");
    assert.equal(put.body.version, 2);

    const patched = await tasks.call("ada", `PATCH /tasks/${id}`, {
      headers: { "if-match": put.headers.get("etag") ?? "" },
      body: { status: "done", dueDate: null, tags: null },
    });
    assert.equal(patched.status, 200, patched.text);
    assert.deepEqual(
      [patched.body.status, patched.body.dueDate, patched.body.tags, patched.body.priority],
      ["done", null, [], "high"],
    );
    assert.notEqual(patched.body.completedAt, null);

    const removed = await tasks.call("ada", `DELETE /tasks/${id}`, {
      headers: { "if-match": "*" },
    });
    assert.equal(removed.status, 204);
    assert.equal((await tasks.call("ada", `GET /tasks/${id}`)).status, 404);
  });
});
