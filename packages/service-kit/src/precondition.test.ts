import assert from "node:assert/strict";
import { test } from "node:test";
import { isNotModified, judgeIfMatch } from "./precondition.ts";

test("judgeIfMatch() compares strongly and refuses what it cannot read", () => {
  const refusal = (field: string | undefined): string | undefined =>
    judgeIfMatch(field, '"a"')?.code;
  assert.equal(refusal(undefined), "precondition_required");
  assert.equal(refusal('"b"'), "precondition_failed");
  assert.equal(refusal('W/"a"'), "precondition_failed");
  assert.equal(refusal("a"), "invalid_request");
  assert.equal(refusal('"a" "b"'), "invalid_request");
  assert.equal(refusal('"a"'), undefined);
  assert.equal(refusal(' "b" , W/"c","a" '), undefined);
  assert.equal(refusal("*"), undefined);
});

test("isNotModified() compares weakly, and an unreadable field means the full answer", () => {
  for (const field of ['"a"', 'W/"a"', '"b", "a"', "*"]) {
    assert.equal(isNotModified(field, '"a"'), true, field);
    assert.equal(isNotModified(field, 'W/"a"'), true, field);
  }
  for (const field of [undefined, "a", '"b"', '"a', ""]) {
    assert.equal(isNotModified(field, '"a"'), false, String(field));
  }
});

test("a long hostile field is read in linear time", () => {
  const hostile = `"${"a".repeat(200_000)}`;
  const started = performance.now();
  for (const field of [
    hostile,
    '"a",'.repeat(50_000),
    '"a" '.repeat(50_000),
    " \t".repeat(100_000),
  ]) {
    judgeIfMatch(field, '"b"');
  }
  assert.ok(performance.now() - started < 3_000);
});
