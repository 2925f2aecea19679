import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import * as fc from "fast-check";
import { tasksUnderTest, type TasksUnderTest } from "./tasks-under-test.ts";

let tasks: TasksUnderTest;
before(async () => {
  tasks = await tasksUnderTest();
});
after(() => tasks[Symbol.asyncDispose]());

const titles = async (person: string, query: string): Promise<string[]> => {
  const answer = await tasks.call(person, `GET /tasks${query}`);
  assert.equal(answer.status, 200, answer.text);
  return answer.body.items.map((task: { title: string }) => task.title);
};

describe("filters", () => {
  test("status, priority, tags and due dates narrow together", async () => {
    await tasks.create("ada", { title: "1", status: "done", priority: "low", tags: ["a"] });
    await tasks.create("ada", {
      title: "2",
      priority: "high",
      tags: ["a", "b"],
      dueDate: "2026-01-01",
    });
    await tasks.create("ada", { title: "3", status: "doing", tags: ["b"], dueDate: "2026-01-02" });
    await tasks.create("ada", { title: "4", priority: "urgent", dueDate: "2026-01-03" });
    assert.deepEqual(await titles("ada", "?status=done"), ["1"]);
    assert.deepEqual(await titles("ada", "?status=done&status=doing"), ["1", "3"]);
    assert.deepEqual(await titles("ada", "?priority=high&priority=urgent"), ["2", "4"]);
    assert.deepEqual(await titles("ada", "?tag=a"), ["1", "2"]);
    assert.deepEqual(await titles("ada", "?tag=a&tag=b"), ["2"]);
    assert.deepEqual(await titles("ada", "?tag=A"), []);
    assert.deepEqual(await titles("ada", "?dueBefore=2026-01-02"), ["2"]);
    assert.deepEqual(await titles("ada", "?dueAfter=2026-01-02"), ["4"]);
    assert.deepEqual(await titles("ada", "?dueAfter=2026-01-01&dueBefore=2026-01-03"), ["3"]);
    assert.deepEqual(await titles("ada", "?tag=b&status=todo&priority=high"), ["2"]);
  });

  test("each order and its reverse, with tasks without a due date last in both", async () => {
    assert.deepEqual(await titles("ada", "?sort=title"), ["1", "2", "3", "4"]);
    assert.deepEqual(await titles("ada", "?sort=-title"), ["4", "3", "2", "1"]);
    assert.deepEqual(await titles("ada", "?sort=-createdAt"), ["4", "3", "2", "1"]);
    assert.deepEqual(await titles("ada", "?sort=-priority"), ["4", "2", "3", "1"]);
    assert.deepEqual(await titles("ada", "?sort=dueDate"), ["2", "3", "4", "1"]);
    assert.deepEqual(await titles("ada", "?sort=-dueDate"), ["4", "3", "2", "1"]);
  });

  test("a search follows changes and removals", async () => {
    const { task } = await tasks.create("sam", { title: "Call Zoë", notes: "about the piano" });
    assert.deepEqual(await titles("sam", "?q=zoe"), ["Call Zoë"]);
    const headers = { "if-match": "*" };
    await tasks.call("sam", `PATCH /tasks/${task.id}`, { headers, body: { title: "Call Max" } });
    assert.deepEqual(await titles("sam", "?q=zoe"), []);
    assert.deepEqual(await titles("sam", "?q=pian"), ["Call Max"]);
    await tasks.call("sam", `DELETE /tasks/${task.id}`, { headers });
    assert.deepEqual(await titles("sam", "?q=pian"), []);
  });
});

describe("pages", () => {
  /** All pages, following `Link`; `between` runs after each. */
  async function walk(
    person: string,
    first: string,
    between: () => Promise<void>,
  ): Promise<string[]> {
    const ids: string[] = [];
    for (let next: string | undefined = first; next !== undefined;) {
      const answer = await tasks.call(person, `GET ${next}`);
      assert.equal(answer.status, 200, answer.text);
      ids.push(...answer.body.items.map((task: { id: string }) => task.id));
      next = /^<([^>]+)>; rel="next"$/.exec(answer.headers.get("link") ?? "")?.[1];
      assert.equal(next === undefined, answer.body.nextCursor === null);
      await between();
    }
    return ids;
  }

  test("every task that stays is listed exactly once while others come and go", async () => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 12 }),
        fc.integer({ min: 1, max: 5 }),
        fc.constantFrom(
          "position",
          "-position",
          "createdAt",
          "-createdAt",
          "title",
          "dueDate",
          "-dueDate",
          "priority",
          "-updatedAt",
        ),
        fc.array(fc.constantFrom("add", "remove"), { maxLength: 6 }),
        async (count, limit, sort, events) => {
          run += 1;
          const person = `walker-${run}`;
          const add = (index: number): Promise<{ task: { id: string } }> =>
            tasks.create(person, {
              title: `t${index % 3}`,
              ...(index % 2 === 0 && { dueDate: "2026-01-01" }),
            });
          const steady: string[] = [];
          for (let index = 0; index < count; index += 1) steady.push((await add(index)).task.id);
          const passing: string[] = [];
          const left = [...events];
          const listed = await walk(person, `/tasks?limit=${limit}&sort=${sort}`, async () => {
            const event = left.pop();
            if (event === "add") passing.push((await add(left.length)).task.id);
            const gone = event === "remove" ? passing.at(0) : undefined;
            if (gone !== undefined) {
              await tasks.call(person, `DELETE /tasks/${gone}`, { headers: { "if-match": "*" } });
            }
          });
          assert.equal(new Set(listed).size, listed.length, "none twice");
          for (const id of steady) assert.ok(listed.includes(id), "none missing");
        },
      ),
      { numRuns: 15 },
    );
  });

  test("filters and order travel with the link, and a page of none has no next", async () => {
    for (let index = 0; index < 3; index += 1) {
      await tasks.create("linda", { title: `a&b ${index}`, tags: ["x y", "ü&"] });
    }
    const ids = await walk(
      "linda",
      "/tasks?tag=x%20y&tag=%C3%BC%26&limit=1&sort=-title",
      async () => undefined,
    );
    assert.equal(ids.length, 3);
    assert.deepEqual(await titles("nobody", ""), []);
  });
});

describe("order", () => {
  test("moves give the order of a plain list, however they are mixed", async () => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.tuple(fc.nat(), fc.nat(), fc.constantFrom("before", "after", "first", "last")),
          { maxLength: 25 },
        ),
        async (moves) => {
          run += 1;
          const person = `mover-${run}`;
          const model: string[] = [];
          for (let index = 0; index < 5; index += 1) {
            model.push((await tasks.create(person, { title: `${index}` })).task.id);
          }
          for (const [which, where, how] of moves) {
            const id = model[which % 5] ?? "";
            const anchor = model[where % 5] ?? "";
            const body = how === "first" || how === "last" ? { to: how } : { [how]: anchor };
            const answer = await tasks.call(person, `POST /tasks/${id}/move`, { body });
            assert.equal(answer.status, 200, answer.text);
            if ("to" in body || anchor !== id) {
              model.splice(model.indexOf(id), 1);
              if (how === "first") model.unshift(id);
              else if (how === "last") model.push(id);
              else model.splice(model.indexOf(anchor) + (how === "after" ? 1 : 0), 0, id);
            }
          }
          const listed = await tasks.call(person, "GET /tasks");
          assert.deepEqual(
            listed.body.items.map((task: { id: string }) => task.id),
            model,
          );
        },
      ),
      { numRuns: 10 },
    );
  });
});
