import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Deadlines, type Deadline } from "./deadlines.ts";
import { manualClock } from "./manual-clock.ts";

function deadline(dueMs: number, expired: string[], name: string): Deadline {
  return { dueMs, expire: () => void expired.push(name) };
}

describe("Deadlines", () => {
  test("expire is called once, not early, and at most one tick late", () => {
    const clock = manualClock(0);
    const deadlines = new Deadlines(clock, 50);
    const expired: string[] = [];
    const entry = deadline(120, expired, "one");
    deadlines.add(entry);
    clock.advance(119);
    assert.deepEqual(expired, []);
    clock.advance(51);
    assert.deepEqual(expired, ["one"]);
    assert.equal(entry.dueMs, Number.POSITIVE_INFINITY);
    clock.advance(1_000);
    assert.deepEqual(expired, ["one"]);
  });

  test("a deadline that is moved while it waits is not called at its old time", () => {
    const clock = manualClock(0);
    const deadlines = new Deadlines(clock, 10);
    const expired: string[] = [];
    const entry = deadline(20, expired, "one");
    deadlines.add(entry);
    clock.advance(15);
    entry.dueMs = 100;
    clock.advance(80);
    assert.deepEqual(expired, []);
    clock.advance(10);
    assert.deepEqual(expired, ["one"]);
  });

  test("expire may set the next deadline, delete itself and add others", () => {
    const clock = manualClock(0);
    const deadlines = new Deadlines(clock, 10);
    const expired: string[] = [];
    const again: Deadline = {
      dueMs: 10,
      expire() {
        expired.push(`again at ${clock.monotonicMs()}`);
        again.dueMs = clock.monotonicMs() + 20;
        if (clock.monotonicMs() >= 50) deadlines.delete(again);
      },
    };
    const adding: Deadline = {
      dueMs: 10,
      expire() {
        deadlines.delete(adding);
        deadlines.add(deadline(30, expired, "added"));
      },
    };
    deadlines.add(adding);
    deadlines.add(again);
    clock.advance(200);
    assert.deepEqual(expired, ["again at 10", "again at 30", "added", "again at 50"]);
  });

  test("one timer runs for all, and none when nothing is watched", () => {
    const clock = manualClock(0);
    const deadlines = new Deadlines(clock, 10);
    const entries = Array.from({ length: 100 }, () => deadline(Number.POSITIVE_INFINITY, [], ""));
    for (const entry of entries) deadlines.add(entry);
    assert.equal(clock.pendingTimers, 1);
    clock.advance(100);
    assert.equal(clock.pendingTimers, 1);
    for (const entry of entries) deadlines.delete(entry);
    clock.advance(20);
    assert.equal(clock.pendingTimers, 0);
  });
});
