import assert from "node:assert/strict";
import { test } from "node:test";
import { faultsOf, SERVICE_FAULTS } from "./fault.ts";
import { createLogger } from "./logger.ts";
import { problemPage, toProblem, toSlug } from "./problem.ts";

const options = { problemsUrl: "http://localhost:8080/x/problems", errorId: "1-2-3" };

test("toProblem() keeps what helps an attacker: our own faults say their meaning, not their message", () => {
  const fault = faultsOf(SERVICE_FAULTS);
  const ours = toProblem(fault("internal_error", "no such table: secrets at /srv/data"), options);
  assert.doesNotMatch(JSON.stringify(ours), /secrets|srv/);
  const theirs = toProblem(
    fault("invalid_request", "Cannot read it", { mistakes: [{ pointer: "#/a", detail: "b" }] }),
    options,
  );
  assert.deepEqual(theirs, {
    type: "http://localhost:8080/x/problems#invalid-request",
    title: SERVICE_FAULTS.invalid_request.title,
    status: 400,
    detail: "Cannot read it",
    instance: "urn:uuid:1-2-3",
    errors: [{ pointer: "#/a", detail: "b" }],
  });
});

test("problemPage() has a section for every code, and no mark-up from the table", () => {
  const table = {
    ...SERVICE_FAULTS,
    odd_one: { side: "client", status: 400, retry: "never", title: "<script>", meaning: `"&'` },
  } as const;
  const page = problemPage("x", table);
  for (const code of Object.keys(table)) assert.ok(page.includes(`id="${toSlug(code)}"`), code);
  assert.doesNotMatch(page, /<script/);
});

test("the logger removes credentials wherever they are", () => {
  const lines: string[] = [];
  const logger = createLogger({
    service: "x",
    level: "info",
    destination: { write: (line: string) => void lines.push(line) },
  });
  const headers = { authorization: "hunter2", cookie: "hunter2", "tidegate-assertion": "hunter2" };
  logger.info(headers);
  logger.info({ headers });
  logger.info({ request: { headers } });
  assert.equal(lines.length, 3);
  for (const line of lines) {
    assert.doesNotMatch(line, /hunter2/);
    assert.match(line, /\[secret\]/);
  }
});
