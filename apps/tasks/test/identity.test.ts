import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { assertProblem as assertSameProblem } from "./assert-problem.ts";
import { tasksUnderTest, type Answer, type TasksUnderTest } from "./tasks-under-test.ts";

let tasks: TasksUnderTest;
before(async () => {
  tasks = await tasksUnderTest();
});
after(() => tasks[Symbol.asyncDispose]());

const assertProblem = (answer: Answer, status: number, slug: string): void =>
  assertSameProblem(tasks, answer, { status, slug });

describe("identity", () => {
  const as = (assertion: string): Promise<Answer> =>
    tasks.call("", "GET /tasks", { headers: { "tidegate-assertion": assertion } });
  const good = (...args: Parameters<TasksUnderTest["gateway"]["assertion"]>): string =>
    tasks.gateway.assertion(...args);

  test("a good assertion is accepted, so that the refusals below mean something", async () => {
    assert.equal((await as(good("ada"))).status, 200);
  });

  test("no assertion is 401, whatever else the call carries", async () => {
    for (const headers of [
      {},
      { authorization: `Bearer ${good("ada")}` },
      { authorization: "Basic YWRhOmFkYQ==" },
      {
        "x-forwarded-user": "ada",
        "remote-user": "ada",
        cookie: `tidegate-assertion=${good("ada")}`,
      },
      { "tidegate-assertion": "" },
    ] satisfies Record<string, string>[]) {
      const answer = await tasks.call("", "GET /tasks", { headers });
      assertProblem(answer, 401, "assertion-missing");
      assert.match(answer.headers.get("www-authenticate") ?? "", /^Tidegate-Assertion /);
    }
    assert.equal((await tasks.call("", "GET /nowhere")).status, 401);
    assert.equal((await tasks.call("", "GET /tasks/openapi.json")).status, 401);
  });

  const stranger = generateKeyPairSync("ed25519").privateKey;
  const now = Math.floor(Date.now() / 1000);
  const bad: Record<string, () => string> = {
    "not a token": () => "ada",
    "two in one field": () => `${good("ada")}, ${good("ada")}`,
    "another key": () => good("ada", { key: stranger }),
    "alg none": () => good("ada", { header: { alg: "none" } }),
    "alg HS256 with the public key as secret": () => good("ada", { header: { alg: "HS256" } }),
    "typ of an access token": () => good("ada", { header: { typ: "at+jwt" } }),
    "no typ": () => good("ada", { header: { typ: undefined } }),
    "unknown kid": () => good("ada", { header: { kid: "k2" } }),
    crit: () => good("ada", { header: { crit: ["b64"], b64: false } }),
    "another audience": () => good("ada", { claims: { aud: "bank" } }),
    "several audiences": () => good("ada", { claims: { aud: ["tasks", "bank"] } }),
    "another issuer": () => good("ada", { claims: { iss: "http://evil.example" } }),
    expired: () => good("ada", { claims: { iat: now - 120, exp: now - 61 } }),
    "no expiry": () => good("ada", { claims: { exp: undefined } }),
    "a lifetime of a day": () => good("ada", { claims: { exp: now + 86_400 } }),
    "from the future": () => good("ada", { claims: { iat: now + 600, exp: now + 660 } }),
    "a subject without its issuer": () => good("ada", { claims: { src: undefined } }),
    "a subject that is no text": () => good("ada", { claims: { sub: { $ne: "" } } }),
  };
  for (const [name, make] of Object.entries(bad)) {
    test(`${name} is 401, and the answer does not say why`, async () => {
      const answer = await as(make());
      assertProblem(answer, 401, "assertion-refused");
      assert.equal(answer.body.detail, "Cannot answer: the Tidegate-Assertion is not valid");
    });
  }

  test("an anonymous assertion is 401: the service serves people", async () => {
    const answer = await as(good("", { claims: { sub: undefined, src: undefined } }));
    assertProblem(answer, 401, "person-required");
  });

  test("the same subject of another issuer is another person", async () => {
    const { task } = await tasks.create("ada", { title: "Mine" });
    const other = good("ada", { claims: { src: "https://other.example/" } });
    const headers = { "tidegate-assertion": other };
    assert.equal((await tasks.call("", `GET /tasks/${task.id}`, { headers })).status, 404);
  });

  test("keys that cannot be fetched are 503, not 401", async () => {
    await using cold = await tasksUnderTest({ gatewayIsDown: true });
    const headers = { "tidegate-assertion": cold.gateway.assertion("ada") };
    const answer = await cold.call("", "GET /tasks", { headers });
    assert.equal(answer.status, 503, answer.text);
    assert.match(answer.headers.get("retry-after") ?? "", /^[1-9]\d*$/);
    assert.match(answer.body.type, /#identity-unavailable$/);
  });

  test("health is answered to anybody", async () => {
    assert.deepEqual((await tasks.call("", "GET /healthz")).body, { status: "live" });
    assert.deepEqual((await tasks.call("", "GET /readyz")).body, { status: "ready" });
  });
});

describe("other people's tasks", () => {
  test("are as if they were not there, for every method", async () => {
    const { task, etag } = await tasks.create("ada", { title: "Secret plan", tags: ["secret"] });
    const { task: own } = await tasks.create("grace", { title: "Grace's" });
    const headers = { "if-match": etag };
    const body = { title: "Mine now" };
    for (const answer of [
      await tasks.call("grace", `GET /tasks/${task.id}`),
      await tasks.call("grace", `PUT /tasks/${task.id}`, { headers, body }),
      await tasks.call("grace", `PUT /tasks/${task.id}`, { body }),
      await tasks.call("grace", `PATCH /tasks/${task.id}`, { headers, body }),
      await tasks.call("grace", `DELETE /tasks/${task.id}`, { headers }),
      await tasks.call("grace", `POST /tasks/${task.id}/move`, { body: { to: "first" } }),
    ]) {
      assertProblem(answer, 404, "task-not-found");
    }
    const nextTo = await tasks.call("grace", `POST /tasks/${own.id}/move`, {
      body: { before: task.id },
    });
    assertProblem(nextTo, 422, "neighbour-not-found");
    for (const query of ["", "?q=secret", "?tag=secret", "?q=plan&sort=title"]) {
      const { body: page } = await tasks.call("grace", `GET /tasks${query}`);
      assert.ok(page.items.every((item: { id: string }) => item.id !== task.id));
    }
    assert.equal((await tasks.call("ada", `GET /tasks/${task.id}`)).body.title, "Secret plan");
  });

  test("a cursor of one person is refused for another", async () => {
    await tasks.create("ada", { title: "1" });
    await tasks.create("ada", { title: "2" });
    const page = await tasks.call("ada", "GET /tasks?limit=1");
    const answer = await tasks.call("grace", `GET /tasks?limit=1&cursor=${page.body.nextCursor}`);
    assertProblem(answer, 400, "invalid-request");
  });
});
