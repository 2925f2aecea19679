import assert from "node:assert/strict";
import type { Answer, TasksUnderTest } from "./tasks-under-test.ts";

/** Asserts that an answer is that problem, in the one form that all have, and that the log has it under its id. */
export function assertProblem(
  tasks: TasksUnderTest,
  answer: Answer,
  expected: { readonly status: number; readonly slug: string },
): void {
  const { status, slug } = expected;
  assert.equal(answer.status, status, answer.text);
  assert.equal(answer.headers.get("content-type"), "application/problem+json");
  assert.equal(answer.headers.get("cache-control"), "no-store");
  assert.equal(answer.body.type, `${tasks.gateway.url}/tasks/problems#${slug}`);
  assert.equal(answer.body.status, status);
  const errorId = /^urn:uuid:([0-9a-f-]{36})$/.exec(answer.body.instance)?.[1] ?? "none";
  assert.ok(
    tasks.log.some((line) => line.includes(errorId)),
    "the log has the error's id",
  );
}
