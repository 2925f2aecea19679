import assert from "node:assert/strict";
import { test } from "node:test";
import { manualClock } from "@tidegate/clock";
import { ReportMemory } from "./report-memory.ts";

test("take() says no to what it has until that ends, and forgets on request", () => {
  const clock = manualClock(1_000_000);
  const memory = new ReportMemory(clock);
  assert.equal(memory.take("a", 1_010_000), true);
  assert.equal(memory.take("a", 1_020_000), false);
  memory.forget("a");
  assert.equal(memory.take("a", 1_010_000), true);
  clock.advance(10_000);
  assert.equal(memory.take("a", 1_030_000), true);
  assert.equal(memory.take("a", 1_030_000), false);
});

test("take() holds a bounded number, and what leaves is the oldest", () => {
  const memory = new ReportMemory(manualClock(0));
  for (let count = 0; count < 100_050; count++) memory.take(String(count), 1_000);
  assert.equal(memory.take("100049", 1_000), false);
  assert.equal(memory.take("0", 1_000), true);
});
