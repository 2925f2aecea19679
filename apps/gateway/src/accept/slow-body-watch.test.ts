import assert from "node:assert/strict";
import { test } from "node:test";
import { manualClock } from "@tidegate/clock";
import type { Http1Body } from "./http1-body.ts";
import { SlowBodyWatch } from "./slow-body-watch.ts";

/** What the watch looks at. */
function setUp(minBytesPerSecond = 100) {
  const clock = manualClock(0);
  const watch = new SlowBodyWatch(clock);
  const body = { isDone: false, isPaused: false, receivedBytes: 0 };
  let ended = 0;
  const begin = (): void =>
    watch.watch(body as unknown as Http1Body, minBytesPerSecond, () => ended++);
  begin();
  /** Second by second, with so many bytes in each. */
  const pass = (seconds: number, bytesPerSecond: number): void => {
    for (let second = 0; second < seconds; second++) {
      body.receivedBytes += bytesPerSecond;
      clock.advance(1_000);
    }
  };
  return { clock, watch, body, begin, pass, ended: () => ended };
}

test("watch() ends an upload that trickles in, once, and not within its grace", () => {
  const t = setUp();
  t.pass(4, 99);
  assert.equal(t.ended(), 0);
  t.pass(1, 99);
  assert.equal(t.ended(), 1);
  t.pass(10, 0);
  assert.equal(t.ended(), 1);
});

test("watch() lets an upload live that is just fast enough, and judges its whole time", () => {
  const t = setUp();
  t.pass(60, 100);
  assert.equal(t.ended(), 0);
  // A fast beginning pays for a slow end, and no longer: 6,000 bytes are 60 s.
  const fast = setUp();
  fast.pass(1, 6_000);
  fast.pass(59, 0);
  assert.equal(fast.ended(), 0);
  fast.pass(1, 0);
  assert.equal(fast.ended(), 1);
});

test("watch() does not count the time in which we stopped reading", () => {
  const t = setUp();
  t.body.isPaused = true;
  t.pass(300, 0);
  assert.equal(t.ended(), 0);
  t.body.isPaused = false;
  t.pass(4, 0);
  assert.equal(t.ended(), 0);
  t.pass(1, 0);
  assert.equal(t.ended(), 1);
});

test("watch() forgets what is whole, and what nobody asked it to watch", () => {
  const t = setUp();
  t.body.isDone = true;
  t.pass(60, 0);
  assert.equal(t.ended(), 0);
  assert.equal(t.clock.pendingTimers, 0);
  // Whole already, or without a rate.
  t.begin();
  assert.equal(t.clock.pendingTimers, 0);
  const free = setUp(0);
  free.pass(60, 0);
  assert.equal(free.ended(), 0);
  assert.equal(free.clock.pendingTimers, 0);
});
