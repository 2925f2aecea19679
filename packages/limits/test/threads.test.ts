import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  attachLimiter,
  beginLockOwner,
  createLimitReport,
  createReservation,
  endLockOwner,
  OUTCOME,
} from "@tidegate/limits";
import {
  ADMISSIONS,
  DAY,
  endHolders,
  endThreads,
  NOW_MS,
  openMemory,
  release,
  runTwo,
  start,
} from "./thread-runs.ts";

describe("attachLimiter() over threads", { timeout: 60_000 }, () => {
  test("acquire() of two limits by two threads, a million each: exactly the limit, from both or none", async () => {
    const memory = openMemory([
      { kind: "window", name: "w", limit: 300_000, seconds: DAY, maxKeys: 10 },
      { kind: "bucket", name: "b", count: 1, seconds: 60, burst: 400_000, maxKeys: 10 },
    ]);
    const shared = new Int32Array(new SharedArrayBuffer(64));
    await runTwo(memory, shared, [
      { kind: "count", limits: [0, 1], calls: 1_000_000 },
      { kind: "count", limits: [1, 0], calls: 1_000_000 },
    ]);
    assert.equal(Atomics.load(shared, ADMISSIONS), 300_000);
    // Opposite orders of the same two records: without an order of locking they would wait for each other.
    const timeouts = Atomics.load(shared, 2);
    assert.ok(timeouts <= 2, `${timeouts} locks were not had in time`);

    const limiter = attachLimiter({ memory, lockOwner: beginLockOwner(memory, 1) });
    const report = createLimitReport();
    const handles = Int32Array.of(limiter.intern(0, "ada"), limiter.intern(1, "ada"));
    limiter.peek(handles, Int32Array.of(1, 1), 2, NOW_MS, report);
    assert.deepEqual(Array.from(report.remaining.subarray(0, 2)), [0, 100_000]);
  });

  test("two threads that make the same records at the same time share each one's budget", async () => {
    const keys = 8_000;
    const memory = openMemory([
      { kind: "window", name: "exact", limit: 5, seconds: DAY, maxKeys: keys },
      { kind: "bucket", name: "b", count: 1, seconds: 60, burst: 7, maxKeys: keys },
    ]);
    const shared = new Int32Array(new SharedArrayBuffer(4 * (ADMISSIONS + keys)));
    const task = { kind: "keys", keys, callsPerKey: 6 } as const;
    await runTwo(memory, shared, [task, task]);
    const wrong = shared.subarray(ADMISSIONS).filter((admitted) => admitted !== 5);
    assert.equal(wrong.length, 0, `${wrong.length} keys, first ${wrong[0]}`);
  });

  test("two threads on a table far too small never admit more than a caller's limit", async () => {
    const keys = 8_000;
    const memory = openMemory([
      { kind: "window", name: "exact", limit: 5, seconds: DAY, maxKeys: 1_000 },
      { kind: "bucket", name: "b", count: 1, seconds: 60, burst: 7, maxKeys: keys },
    ]);
    const shared = new Int32Array(new SharedArrayBuffer(4 * (ADMISSIONS + keys)));
    const task = { kind: "keys", keys, callsPerKey: 6 } as const;
    await runTwo(memory, shared, [task, task]);
    assert.ok(shared.subarray(ADMISSIONS).every((admitted) => admitted <= 5));
    assert.ok(shared.subarray(ADMISSIONS).filter((admitted) => admitted === 5).length >= 1_000);
  });

  test("slots of concurrency limits that an ended thread held are free at once, and nobody else's", async () => {
    const memory = openMemory([
      { kind: "concurrency", name: "c", limit: 5, expireSeconds: 3_600, maxKeys: 10 },
    ]);
    const limiter = attachLimiter({ memory, lockOwner: beginLockOwner(memory, 1) });
    const report = createLimitReport();
    const handles = Int32Array.of(limiter.intern(0, "ada"));
    limiter.reserve(handles, Int32Array.of(1), 1, NOW_MS, report, createReservation());
    const shared = new Int32Array(new SharedArrayBuffer(64));
    const { lockOwner, worker } = start(memory, 2, { task: { kind: "hold", units: 4 }, shared });
    await release(shared, 1);
    const held = Atomics.waitAsync(shared, ADMISSIONS, 0, 10_000);
    if (held.async) await held.value;
    const next = createReservation();
    const take = () => limiter.reserve(handles, Int32Array.of(4), 1, NOW_MS, report, next);
    assert.equal(take(), OUTCOME.refused);
    await worker.terminate();
    endLockOwner(memory, lockOwner);
    assert.equal(limiter.reclaimHeld(lockOwner, NOW_MS), 4);
    assert.equal(take(), OUTCOME.admitted);
    assert.equal(limiter.peek(handles, Int32Array.of(1), 1, NOW_MS, report), OUTCOME.refused);
  });

  test("threads ended at any step of a holder free what they held and never more", async () => {
    await endHolders({ lives: 6 });
  });

  test("threads ended in the middle of anything leave no key stuck and no limit exceeded", async () => {
    await endThreads({ lives: 6 });
  });
});
