import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readRetryAfter } from "./retry-after.ts";

const nowMs = Date.UTC(2026, 10, 23, 12, 0, 0);

describe("readRetryAfter()", () => {
  const cases: readonly (readonly [string, number | undefined])[] = [
    ["7", 7],
    ["0", 1],
    ["86401", 86_400],
    ["9".repeat(400), 86_400],
    ["Mon, 23 Nov 2026 12:00:30 GMT", 30],
    ["Mon, 23 Nov 2026 11:00:00 GMT", 1],
    ["Mon, 23 Xyz 2026 12:00:30 GMT", undefined],
    ["-5", undefined],
    ["1.5", undefined],
    ["1e3", undefined],
    ["soon", undefined],
    ["", undefined],
  ];
  for (const [value, seconds] of cases)
    test(`reads ${JSON.stringify(value.slice(0, 40))} as ${seconds}`, () => {
      assert.equal(readRetryAfter(["X", "1", "Retry-After", value], nowMs), seconds);
    });

  test("believes neither of two, and nothing where there is none", () => {
    assert.equal(readRetryAfter(["retry-after", "1", "Retry-After", "2"], nowMs), undefined);
    assert.equal(readRetryAfter(["Content-Length", "0"], nowMs), undefined);
  });
});
