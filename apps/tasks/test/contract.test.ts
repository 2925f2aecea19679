import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { after, before, describe, test } from "node:test";
import { createStrictAjv, type Json } from "@tidegate/service-kit";
import {
  tasksUnderTest,
  type Answer,
  type CallOptions,
  type TasksUnderTest,
} from "./tasks-under-test.ts";

interface Operation {
  readonly requestBody?: { readonly content: Record<string, unknown> };
  readonly responses: Record<
    string,
    {
      readonly content?: Record<string, { readonly schema: Json }>;
      readonly headers?: Record<string, { readonly required?: boolean }>;
      readonly "x-problems"?: string[];
    }
  >;
  readonly security?: unknown[];
  readonly operationId: string;
  readonly parameters: { readonly in: string; readonly name: string }[];
}
interface Document {
  readonly openapi: string;
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { readonly schemas: Record<string, Json> };
}

let tasks: TasksUnderTest;
let document: Document;
const ajv = createStrictAjv();
/** What has really been answered: `GET /tasks 200`, `GET /tasks 404 task-not-found`. */
const met = new Set<string>();

before(async () => {
  tasks = await tasksUnderTest({ maxTasksPerPerson: 40 });
  document = (await tasks.call("ada", "GET /tasks/openapi.json")).body;
  // References of the document are read where Ajv can find them: the document itself is one schema resource.
  ajv.addVocabulary(["components"]);
  ajv.addSchema({ $id: "http://document/", components: document.components });
});
after(() => tasks[Symbol.asyncDispose]());

const toRef = (schema: Json): Json =>
  JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"http://document/#/'));

/** Calls, and checks the answer against what the document says of this operation and status. */
async function checked(
  person: string,
  target: string,
  options: CallOptions & { on?: TasksUnderTest } = {},
): Promise<Answer> {
  const { on = tasks, ...sent } = options;
  const answer = await on.call(person, target, sent);
  check(target, answer);
  if (target.startsWith("GET ") && !target.startsWith("GET /tasks/live")) {
    const head = target.replace("GET ", "HEAD ");
    const answerToHead = await on.call(person, head, sent);
    assert.equal(answerToHead.status, answer.status);
    assert.equal(answerToHead.text, "");
    check(head, answerToHead, answer);
  }
  return answer;
}

function check(target: string, answer: Answer, bodyFrom: Answer = answer): void {
  const [method = "", path = ""] = target.split(" ");
  const template = path.split("?", 1)[0]?.replace(/^\/tasks\/[0-9a-f-]{36}/, "/tasks/{id}") ?? "";
  const name = `${method} ${template} ${answer.status}`;
  const response = document.paths[template]?.[method.toLowerCase()]?.responses[answer.status];
  assert.ok(response, `${name} is not in the document: ${answer.text}`);
  for (const [field, { required }] of Object.entries(response.headers ?? {})) {
    if (required === true) assert.ok(answer.headers.has(field), `${name} has no ${field}`);
  }
  const problems = response["x-problems"];
  if (problems !== undefined) {
    const slug = String(bodyFrom.body.type).split("#")[1] ?? "";
    assert.ok(problems.includes(slug), `${name} does not name ${slug}`);
    met.add(`${name} ${slug}`);
  } else {
    met.add(name);
  }
  if (response.content === undefined) {
    assert.equal(answer.text, "", name);
    return;
  }
  const type = (answer.headers.get("content-type") ?? "").split(";", 1)[0] ?? "";
  const media = response.content[type];
  assert.ok(media, `${name} answered ${type}`);
  if (!type.includes("json")) return;
  const isValid = ajv.compile(toRef(media.schema));
  assert.ok(isValid(answer.body), `${name}: ${JSON.stringify(isValid.errors)} ${answer.text}`);
}

describe("the OpenAPI document", () => {
  test("has every route of the app and no other", () => {
    const served = new Set<string>();
    // A tree of path parts, four columns to a level.
    const parts: string[] = [];
    for (const line of tasks.server.service.app.printRoutes({ commonPrefix: false }).split("\n")) {
      const [, indent, part = "", methods = ""] =
        /^([│├└─\s]*)(\S+)(?: \(([^)]+)\))?/.exec(line) ?? [];
      if (indent === undefined) continue;
      parts.length = indent.length / 4 - 1;
      parts.push(part);
      const path = parts.join("").replace(/:(\w+)/g, "{$1}");
      for (const method of methods.split(", ")) if (method !== "") served.add(`${method} ${path}`);
    }
    const documented = Object.entries(document.paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
    );
    assert.ok(served.size >= 15, `saw ${served.size} routes`);
    assert.deepEqual(new Set(documented), served);
  });

  test("is well formed: references resolve, schemas compile, names are unique, path parameters are described", () => {
    assert.equal(document.openapi, "3.1.0");
    const ids: string[] = [];
    for (const [path, operations] of Object.entries(document.paths)) {
      for (const operation of Object.values(operations)) {
        ids.push(operation.operationId);
        const inPath = operation.parameters.filter((parameter) => parameter.in === "path");
        assert.deepEqual(
          inPath.map((parameter) => `{${parameter.name}}`),
          path.match(/\{\w+\}/g) ?? [],
        );
      }
    }
    assert.equal(new Set(ids).size, ids.length);
    const references = JSON.stringify(document).match(/"#\/components\/schemas\/\w+"/g) ?? [];
    assert.ok(references.length > 20);
    for (const reference of new Set(references)) {
      ajv.compile({ $ref: `http://document/${JSON.parse(reference)}` });
    }
  });

  test("every documented answer happens as documented, refusals included", async () => {
    await tellOfEverything();
    // What needs a broken machine; the next test breaks one.
    const unmet = documentedAnswers().filter(
      (name) => !met.has(name) && !/ 500 internal-error$| 503 store-unavailable$/.test(name),
    );
    // What only a WebSocket client meets: live.test.ts does.
    assert.deepEqual(unmet.sort(), [
      "GET /tasks/live 101",
      "GET /tasks/live 400 malformed-request",
      "GET /tasks/live 429 too-many-feeds",
    ]);
  });

  test("a broken database is a 500 that tells nothing, and a readiness of 503", async () => {
    await using broken = await tasksUnderTest();
    {
      using database = new DatabaseSync(broken.databaseFile);
      database.exec("drop table changes; alter table people rename to persons");
    }
    const answer = await checked("ada", "GET /tasks", { on: broken });
    assert.equal(answer.status, 500);
    assert.doesNotMatch(answer.text, /people|sql|table/i);
    assert.ok(broken.log.some((line) => line.includes("no such table")));
  });
});

function documentedAnswers(): string[] {
  return Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations).flatMap(([method, operation]) =>
      Object.entries(operation.responses).flatMap(([status, response]) => {
        const name = `${method.toUpperCase()} ${path} ${status}`;
        return response["x-problems"]?.map((slug) => `${name} ${slug}`) ?? [name];
      }),
    ),
  );
}

async function tellOfEverything(): Promise<void> {
  const { task, etag } = await tasks.create("ada", { title: "a", tags: ["x"] });
  const { task: second } = await tasks.create("ada", { title: "b" });
  const one = `/tasks/${task.id}`;
  const none = "/tasks/00000000-0000-7000-8000-000000000000";
  const any = { "if-match": "*" };
  const body = { title: "c" };

  for (const target of ["GET /healthz", "GET /readyz"]) await checked("", target);
  for (const target of [
    "GET /tasks/openapi.json",
    "GET /tasks/asyncapi.json",
    "GET /tasks/problems",
    "GET /tasks/live",
    "GET /tasks",
    `GET ${one}`,
    "GET /tasks?limit=1",
  ]) {
    await checked("ada", target);
  }
  const { headers } = await checked("ada", "GET /tasks");
  await checked("ada", "GET /tasks", { headers: { "if-none-match": headers.get("etag") ?? "" } });
  await checked("ada", `GET ${one}`, { headers: { "if-none-match": etag } });
  await checked("ada", "GET /tasks?limit=0");
  await checked("ada", "GET /tasks/live?since=x");

  await checked("ada", "POST /tasks", { body, headers: { "idempotency-key": "k" } });
  await checked("ada", "POST /tasks", {
    body: { title: "d" },
    headers: { "idempotency-key": "k" },
  });
  for (let count = 0; count < 40; count += 1) await tasks.call("full", "POST /tasks", { body });
  await checked("full", "POST /tasks", { body });
  await checked("ada", `POST ${one}/move`, { body: { before: second.id } });
  await checked("ada", `POST ${one}/move`, { body: { before: none.slice(7) } });
  await checked("ada", `POST ${none}/move`, { body: { to: "last" } });
  await checked("ada", `POST ${one}/move`, {
    body: { to: "last" },
    headers: { "if-match": '"0"' },
  });
  await checked("ada", `PUT ${one}`, { body, headers: any });
  await checked("ada", `PATCH ${one}`, { body, headers: any });
  await checked("ada", `GET ${none}`);
  for (const method of ["PUT", "PATCH", "DELETE"]) {
    const sent = method === "DELETE" ? {} : { body };
    await checked("ada", `${method} ${one}`, sent);
    await checked("ada", `${method} ${one}`, { ...sent, headers: { "if-match": '"0"' } });
    await checked("ada", `${method} ${one}`, { ...sent, headers: { "if-match": "odd" } });
    await checked("ada", `${method} ${none}`, { ...sent, headers: any });
  }
  await checked("ada", `DELETE ${second.id === "" ? "" : `/tasks/${second.id}`}`, { headers: any });
  await refuseEverywhere(one);
}

async function refuseEverywhere(one: string): Promise<void> {
  await using cold = await tasksUnderTest({ gatewayIsDown: true });
  await using stopping = await tasksUnderTest();
  stopping.server.stages.drain();
  const forged = tasks.gateway.assertion("ada", { claims: { aud: "bank" } });
  const nobody = tasks.gateway.assertion("", { claims: { sub: undefined, src: undefined } });
  for (const [path, operations] of Object.entries(document.paths)) {
    for (const [name, operation] of Object.entries(operations)) {
      if (name === "head") continue;
      const target = `${name.toUpperCase()} ${path.replace("/tasks/{id}", one)}`;
      const isPublic = operation.security?.length === 0;
      if (isPublic && path !== "/readyz") continue;
      await checked("ada", target, { on: stopping });
      if (isPublic) continue;
      await checked("", target);
      await checked("", target, { headers: { "tidegate-assertion": forged } });
      await checked("", target, { headers: { "tidegate-assertion": nobody } });
      await checked("ada", target, { on: cold });
      if (operation.requestBody === undefined) continue;
      const headers = { "if-match": "*" };
      await checked("ada", target, { headers, body: "{" });
      await checked("ada", target, { headers, body: { nonsense: 1 } });
      await checked("ada", target, { headers, body: "x".repeat(66_000) });
      await checked("ada", target, {
        headers: { ...headers, "content-type": "text/plain" },
        body: "x",
      });
    }
  }
}
