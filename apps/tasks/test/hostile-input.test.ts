import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { rawConnection } from "@tidegate/testkit";
import * as fc from "fast-check";
import { assertProblem as assertSameProblem } from "./assert-problem.ts";
import { tasksUnderTest, type Answer, type TasksUnderTest } from "./tasks-under-test.ts";

let tasks: TasksUnderTest;
before(async () => {
  tasks = await tasksUnderTest();
});
after(() => tasks[Symbol.asyncDispose]());

const assertProblem = (answer: Answer, status: number, slug: string): void =>
  assertSameProblem(tasks, answer, { status, slug });

describe("bodies", () => {
  const post = (body: unknown, headers = {}): Promise<Answer> =>
    tasks.call("ada", "POST /tasks", { body, headers });
  const pointers = (answer: Answer): string[] =>
    answer.body.errors.map((error: { pointer: string }) => error.pointer);

  const cases: [name: string, body: unknown, pointer: string][] = [
    ["no title", {}, "#/title"],
    ["an empty title", { title: "" }, "#/title"],
    ["a blank title", { title: " \u00a0 " }, "#/title"],
    ["a title of two lines", { title: "a\nb" }, "#/title"],
    ["a title with NUL", { title: "a\u0000b" }, "#/title"],
    ["a title of 201 characters", { title: "x".repeat(201) }, "#/title"],
    ["a title that is a number", { title: 1 }, "#/title"],
    ["a title that is a list", { title: ["a"] }, "#/title"],
    ["half a surrogate pair", { title: "\ud800" }, "#/title"],
    ["half a surrogate pair in notes", { title: "a", notes: "\udfff" }, "#/notes"],
    ["notes of 10,001 characters", { title: "a", notes: "x".repeat(10_001) }, "#/notes"],
    ["an unknown status", { title: "a", status: "DONE" }, "#/status"],
    ["an unknown priority", { title: "a", priority: 3 }, "#/priority"],
    ["a day that is none", { title: "a", dueDate: "2026-02-30" }, "#/dueDate"],
    ["a moment instead of a day", { title: "a", dueDate: "2026-02-03T04:05:06Z" }, "#/dueDate"],
    ["21 tags", { title: "a", tags: Array.from({ length: 21 }, (_, i) => `${i}`) }, "#/tags"],
    ["a tag twice", { title: "a", tags: ["x", "x"] }, "#/tags"],
    ["a tag that is a number", { title: "a", tags: ["x", 5] }, "#/tags/1"],
    ["tags that are one word", { title: "a", tags: "x" }, "#/tags"],
    ["an unknown member", { title: "a", colour: "red" }, "#/colour"],
    ["an id of the client's own", { title: "a", id: "live" }, "#/id"],
    ["another owner", { title: "a", person: 1 }, "#/person"],
    ["a member whose name needs escaping", { title: "a", "x/y~z%?": 1 }, "#/x~1y~0z%25%3F"],
    ["__proto__", '{"title":"a","__proto__":{"status":"done"}}', "#/__proto__"],
    ["constructor", '{"title":"a","constructor":{"prototype":{"x":1}}}', "#/constructor"],
    ["null", "null", "#"],
    ["a list", "[]", "#"],
  ];
  for (const [name, body, pointer] of cases) {
    test(`${name} is 400 and points at ${pointer}`, async () => {
      const answer = await post(body);
      assertProblem(answer, 400, "invalid-request");
      assert.ok(pointers(answer).includes(pointer), answer.text);
    });
  }

  test("all mistakes are listed at once, and never more than twenty", async () => {
    const answer = await post({ title: "", notes: 1, status: 2 });
    assert.deepEqual(new Set(pointers(answer)), new Set(["#/title", "#/notes", "#/status"]));
    const many = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`m${i}`, 1]));
    assert.equal((await post({ title: "a", ...many })).body.errors.length, 20);
  });

  test("what is not UTF-8, or not JSON, is 400", async () => {
    const bytes = Buffer.concat([
      Buffer.from('{"title":"'),
      Buffer.from([0xc3, 0x28]),
      Buffer.from('"}'),
    ]);
    assertProblem(await post(bytes), 400, "malformed-request");
    for (const text of ["{", '{"title":"a"}}', "{'title':'a'}", '\ufeff{"title":"a"}', ""]) {
      const answer = await post(text);
      assert.equal(answer.status, 400, text);
    }
    assertProblem(await post('{"title":'.repeat(6_000)), 400, "malformed-request");
    assertProblem(await post("[".repeat(60_000) + "]".repeat(5_000)), 400, "malformed-request");
  });

  test("another media type is 415 and names the right one", async () => {
    const form = await post("title=a", { "content-type": "application/x-www-form-urlencoded" });
    assertProblem(form, 415, "media-type-unsupported");
    const plain = await post('{"title":"a"}', { "content-type": "text/plain" });
    assertProblem(plain, 415, "media-type-unsupported");
    const { task } = await tasks.create("ada", { title: "a" });
    const patch = await tasks.call("ada", `PATCH /tasks/${task.id}`, {
      headers: { "content-type": "application/json", "if-match": "*" },
      body: { title: "b" },
    });
    assertProblem(patch, 415, "media-type-unsupported");
    assert.equal(patch.headers.get("accept-patch"), "application/merge-patch+json");
  });

  test("more than 64 KiB is 413, declared or not", async () => {
    assertProblem(await post({ title: "a", notes: "x".repeat(70_000) }), 413, "body-too-large");
    await using raw = await rawConnection(Number(new URL(tasks.server.url).port));
    await raw.write(
      `POST /tasks HTTP/1.1\r\nHost: x\r\nTidegate-Assertion: ${tasks.gateway.assertion("ada")}\r\n` +
        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" +
        `11170\r\n${"x".repeat(0x11170)}\r\n0\r\n\r\n`,
    );
    assert.match(String(await raw.readUntil("\r\n")), /^HTTP\/1.1 413 /);
  });

  test("a patch can neither remove the title nor add a member", async () => {
    const { task } = await tasks.create("ada", { title: "a" });
    const headers = { "if-match": "*" };
    for (const body of [
      { title: null },
      { colour: "red" },
      { version: 9 },
      '{"__proto__":{"x":1}}',
      '"text"',
      { tags: { "0": "x" } },
    ]) {
      const answer = await tasks.call("ada", `PATCH /tasks/${task.id}`, { headers, body });
      assertProblem(answer, 400, "invalid-request");
    }
  });
});

describe("anything at all", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.string(),
    fc.constantFrom("__proto__", "a"),
  );
  const known = fc.constantFrom(
    "title",
    "notes",
    "status",
    "priority",
    "dueDate",
    "tags",
    "before",
    "to",
  );
  const body = fc.oneof(
    fc
      .dictionary(fc.oneof(known, text), fc.oneof(fc.jsonValue(), text))
      .map((value) => JSON.stringify(value)),
    fc.json(),
    text,
  );

  test("as a body is taken or refused, and never breaks the service", async () => {
    const { task } = await tasks.create("fuzz", { title: "a" });
    const targets = [
      "POST /tasks",
      `PUT /tasks/${task.id}`,
      `PATCH /tasks/${task.id}`,
      `POST /tasks/${task.id}/move`,
    ];
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...targets), body, async (target, sent) => {
        const answer = await tasks.call("fuzz", target, {
          body: sent,
          headers: { "if-match": "*" },
        });
        assert.ok(answer.status < 500, `${target} ${sent} ${answer.text}`);
        if (answer.status >= 300)
          assert.equal(answer.headers.get("content-type"), "application/problem+json");
      }),
      { numRuns: 150 },
    );
  });

  test("as a path or query is answered or refused, and never breaks the service", async () => {
    const name = fc.oneof(
      fc.constantFrom("q", "tag", "cursor", "sort", "limit", "dueBefore", "status"),
      text,
    );
    const query = fc.array(fc.tuple(name, text), { maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.constant(""), text), query, async (path, pairs) => {
        const search = pairs.map((pair) =>
          pair.map((part) => encodeURIComponent(part.toWellFormed())).join("="),
        );
        const segment = path === "" ? "" : `/${encodeURIComponent(path.toWellFormed())}`;
        const answer = await tasks.call("fuzz", `GET /tasks${segment}?${search.join("&")}`);
        assert.ok(answer.status < 500, `${path} ${JSON.stringify(pairs)} ${answer.text}`);
      }),
      { numRuns: 150 },
    );
  });
});

describe("targets", () => {
  test("queries out of the contract are 400", async () => {
    for (const query of [
      "colour=red",
      "limit=0",
      "limit=101",
      "limit=ten",
      "limit=1&limit=2",
      "sort=id",
      "sort=--title",
      "status=open",
      "dueBefore=tomorrow",
      "q=",
      "q=a%00b",
      `q=${"x".repeat(201)}`,
      "cursor=",
      "cursor=AAAA",
      "cursor=%22",
      "__proto__=x",
      "__proto__[x]=y",
    ]) {
      const answer = await tasks.call("ada", `GET /tasks?${query}`);
      assertProblem(answer, 400, "invalid-request");
      assert.match(answer.body.errors[0].pointer, /^#\/query\//);
    }
  });

  test("a cursor with any one character changed is 400", async () => {
    await tasks.create("heidi", { title: "1" });
    await tasks.create("heidi", { title: "2" });
    const { nextCursor } = (await tasks.call("heidi", "GET /tasks?limit=1")).body;
    for (let index = 0; index < nextCursor.length; index += 7) {
      const changed = nextCursor[index] === "A" ? "B" : "A";
      const cursor = nextCursor.slice(0, index) + changed + nextCursor.slice(index + 1);
      assertProblem(
        await tasks.call("heidi", `GET /tasks?limit=1&cursor=${cursor}`),
        400,
        "invalid-request",
      );
    }
    const elsewhere = await tasks.call(
      "heidi",
      `GET /tasks?limit=1&sort=title&cursor=${nextCursor}`,
    );
    assertProblem(elsewhere, 400, "invalid-request");
    assert.equal(
      (await tasks.call("heidi", `GET /tasks?limit=9&cursor=${nextCursor}`)).body.items.length,
      1,
    );
  });

  test("searches are words, whatever they look like", async () => {
    await tasks.create("ivan", {
      title: 'Fix the "quoted" café C++ it\'s 100% OR nothing',
      notes: "naïve",
    });
    await tasks.create("ivan", { title: "Another" });
    const found = async (q: string): Promise<number> =>
      (await tasks.call("ivan", `GET /tasks?q=${encodeURIComponent(q)}`)).body.items.length;
    for (const q of [
      "quoted",
      '"quoted"',
      "cafe",
      "CAFÉ",
      "naive",
      "C++",
      "100%",
      "quo noth",
      "fix it's",
    ]) {
      assert.equal(await found(q), 1, q);
    }
    for (const q of [
      '" OR owner:"p1',
      "title:zebra",
      "') OR 1=1 --",
      "'; drop table tasks; --",
      "* XOR *",
      "NEAR(fix another)",
      "{title} : fix",
      "^fix -another",
      "!!!",
      '""""""',
      "p1",
    ]) {
      assert.equal(await found(q), 0, q);
    }
    assert.equal((await tasks.call("ivan", "GET /tasks")).body.items.length, 2);
  });

  test("other methods are 405 with Allow, other paths 404", async () => {
    const put = await tasks.call("ada", "PUT /tasks", { body: {} });
    assertProblem(put, 405, "method-not-allowed");
    assert.equal(put.headers.get("allow"), "GET, HEAD, POST");
    const post = await tasks.call("ada", "POST /tasks/live");
    assertProblem(post, 405, "method-not-allowed");
    assert.equal(post.headers.get("allow"), "GET");
    for (const path of [
      "/",
      "/tasks/",
      "/task",
      "/tasks/a/b",
      "/tasks//",
      "/TASKS",
      "/tasks/%2e%2e",
    ]) {
      assert.equal((await tasks.call("ada", `GET ${path}`)).status, 404, path);
    }
    assertProblem(await tasks.call("ada", `GET /tasks/${"x".repeat(200)}`), 414, "target-too-long");
    assertProblem(await tasks.call("ada", "GET /tasks/%ff"), 400, "malformed-request");
  });

  test("a header section without end is 431", async () => {
    await using raw = await rawConnection(Number(new URL(tasks.server.url).port));
    await raw.write(`GET /tasks HTTP/1.1\r\nHost: x\r\nX: ${"x".repeat(20_000)}\r\n\r\n`);
    assert.match(String(await raw.readUntil("}")), /^HTTP\/1.1 431 .*problems#fields-too-large/s);
  });

  test("bytes that are not HTTP get a problem and a closed connection", async () => {
    await using raw = await rawConnection(Number(new URL(tasks.server.url).port));
    await raw.write(
      "GET /tasks HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    );
    const answer = String(await raw.readToEnd());
    assert.match(answer, /^HTTP\/1.1 400 /);
    assert.match(answer, /problems#malformed-request/);
  });
});
