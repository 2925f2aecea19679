import assert from "node:assert/strict";
import { test } from "node:test";
import { manualClock } from "./manual-clock.ts";
import { systemClock } from "./system-clock.ts";

test("advance() runs tasks in the order of their time and shows each its own time", () => {
  const clock = manualClock(1_000);
  const ran: [string, number, number][] = [];
  const note = (name: string) => (): void =>
    void ran.push([name, clock.monotonicMs(), clock.wallMs()]);
  clock.after(30, note("late"));
  clock.after(10, () => {
    note("early")();
    clock.after(5, note("nested"));
  });
  clock.after(10, note("same time, later"));
  clock.after(50, note("never")).cancel();
  clock.advance(40);
  assert.deepEqual(ran, [
    ["early", 1_010, 1_010],
    ["same time, later", 1_010, 1_010],
    ["nested", 1_015, 1_015],
    ["late", 1_030, 1_030],
  ]);
  assert.equal(clock.monotonicMs(), 1_040);
  assert.equal(clock.pendingTimers, 0);
});

test("stepWall() moves the wall clock alone, and fires nothing", () => {
  const clock = manualClock(0);
  let hasRun = false;
  clock.after(10, () => (hasRun = true));
  clock.stepWall(-5_000);
  assert.deepEqual([clock.monotonicMs(), clock.wallMs(), hasRun], [0, -5_000, false]);
  clock.advance(10);
  assert.deepEqual([clock.monotonicMs(), clock.wallMs(), hasRun], [10, -4_990, true]);
});

test("systemClock.after() honours a delay beyond 31 bits, and cancel() is safe at any time", async () => {
  let hasRun = false;
  const far = systemClock.after(2 ** 31 + 1_000, () => (hasRun = true));
  const near = Promise.withResolvers<void>();
  const keepAlive = setTimeout(() => undefined, 5_000);
  const timer = systemClock.after(5, near.resolve);
  await near.promise;
  clearTimeout(keepAlive);
  timer.cancel();
  assert.equal(hasRun, false);
  far.cancel();
  far.cancel();
});
