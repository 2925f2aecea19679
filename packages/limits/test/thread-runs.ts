import assert from "node:assert/strict";
import { once } from "node:events";
import { setImmediate } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import {
  attachLimiter,
  beginLockOwner,
  createLimiterMemory,
  createLimitReport,
  createReservation,
  endLockOwner,
  OUTCOME,
  type LimitDefinition,
  type LimiterMemory,
} from "@tidegate/limits";
import { systemRandom } from "@tidegate/clock";
import type { Hammer } from "./hammer.ts";

export const DAY = 86_400;
export const NOW_MS = 1_000;
// Where the workers count what they were admitted, by key.
export const ADMISSIONS = 3;

export function openMemory(definitions: readonly LimitDefinition[]): LimiterMemory {
  return createLimiterMemory({
    definitions,
    random: systemRandom,
    reservationMs: 30_000,
    threads: 3,
  });
}

export function start(memory: LimiterMemory, owner: number, rest: Pick<Hammer, "task" | "shared">) {
  const lockOwner = beginLockOwner(memory, owner);
  const workerData: Hammer = { memory, lockOwner, ...rest };
  return { lockOwner, worker: new Worker(new URL("hammer.ts", import.meta.url), { workerData }) };
}

/** Lets all workers begin in the same instant, so that they truly meet. */
export async function release(shared: Int32Array, workers: number): Promise<void> {
  while (Atomics.load(shared, 1) < workers) {
    const waiting = Atomics.waitAsync(shared, 1, Atomics.load(shared, 1), 100);
    if (waiting.async) await waiting.value;
  }
  Atomics.store(shared, 0, 1);
  Atomics.notify(shared, 0);
}

export async function runTwo(memory: LimiterMemory, shared: Int32Array, tasks: Hammer["task"][]) {
  const workers = tasks.map((task, index) => start(memory, 2 + index, { task, shared }).worker);
  const ends = workers.map(async (worker) => once(worker, "exit"));
  await release(shared, workers.length);
  for (const [code] of await Promise.all(ends)) assert.equal(code, 0);
}

/**
 * Lives of two threads that are terminated at any point of their work; after each, every key must answer at once and
 * within its limit.
 */
export async function endThreads(options: { readonly lives: number }): Promise<void> {
  const keys = 6;
  const memory = openMemory([
    { kind: "window", name: "s", limit: 2_000, seconds: DAY, maxKeys: 500 },
    { kind: "bucket", name: "b", count: 1, seconds: 60, burst: 3_000, maxKeys: 500 },
  ]);
  const shared = new Int32Array(new SharedArrayBuffer(64));
  Atomics.store(shared, 0, 1);
  const limiter = attachLimiter({ memory, lockOwner: beginLockOwner(memory, 1) });
  const report = createLimitReport();
  const pairs = Array.from({ length: keys }, (_, key) =>
    Int32Array.of(limiter.intern(0, `key ${key}`), limiter.intern(1, `key ${keys - 1 - key}`)),
  );

  for (let life = 0; life < options.lives; life++) {
    Atomics.store(shared, 1, 0);
    const running = [2, 3].map((owner) =>
      start(memory, owner, { task: { kind: "forever", keys }, shared }),
    );
    while (Atomics.load(shared, 1) < running.length) await setImmediate();
    // Somewhere else in their work each time.
    for (let turn = 0; turn < life % 5; turn++) await setImmediate();
    await Promise.all(running.map(async ({ worker }) => worker.terminate()));
    for (const { lockOwner } of running) endLockOwner(memory, lockOwner);

    for (const handles of pairs) {
      const begunMs = performance.now();
      if (limiter.acquire(handles, Int32Array.of(1, 1), 2, NOW_MS, report) === OUTCOME.refused) {
        // Refused because it is spent, not because it could not be asked.
        assert.notEqual(report.retryAfterMs, 1_000);
      }
      assert.ok(performance.now() - begunMs < 100);
    }
  }
  assert.equal(limiter.statistics().lockTimeouts, 0);
  for (let key = 0; key < keys; key++) assert.ok(Atomics.load(shared, ADMISSIONS + key) <= 2_000);
  // The tables still work: new keys, and memory taken back.
  const fresh = Int32Array.of(limiter.intern(0, "fresh"), limiter.intern(1, "fresh"));
  assert.equal(limiter.acquire(fresh, Int32Array.of(9, 9), 2, NOW_MS, report), OUTCOME.admitted);
  assert.ok(limiter.sweep(NOW_MS + 3 * DAY * 1_000, 2_000) > 0);
}

/**
 * Lives of two threads that hold slots and are terminated at any point; after each, their slots are free at once, and those of
 * this thread are not.
 */
export async function endHolders(options: { readonly lives: number }): Promise<void> {
  const limit = 1_000;
  const memory = openMemory([
    { kind: "concurrency", name: "c", limit, expireSeconds: 3_600, maxKeys: 10 },
  ]);
  const shared = new Int32Array(new SharedArrayBuffer(64));
  Atomics.store(shared, 0, 1);
  const limiter = attachLimiter({ memory, lockOwner: beginLockOwner(memory, 1) });
  const report = createLimitReport();
  const handles = Int32Array.of(limiter.intern(0, "ada"));
  const own = createReservation();
  limiter.reserve(handles, Int32Array.of(7), 1, NOW_MS, report, own);
  let nowMs = NOW_MS;
  let left = limit - 7;
  for (let life = 0; life < options.lives; life++) {
    Atomics.store(shared, 1, 0);
    const running = [2, 3].map((owner) =>
      start(memory, owner, { task: { kind: "hold and let go" }, shared }),
    );
    while (Atomics.load(shared, 1) < running.length) await setImmediate();
    for (let turn = 0; turn < life % 5; turn++) await setImmediate();
    await Promise.all(running.map(async ({ worker }) => worker.terminate()));
    for (const { lockOwner } of running) endLockOwner(memory, lockOwner);
    for (const { lockOwner } of running) {
      limiter.reclaimHeld(lockOwner, nowMs);
      assert.equal(limiter.reclaimHeld(lockOwner, nowMs), 0, "they are given back once");
    }
    nowMs = NOW_MS + 1;
    limiter.peek(handles, Int32Array.of(1), 1, nowMs, report);
    const now = report.remaining[0]!;
    // Never more than there are; and at most the one step that each was in the middle of stays taken, until it expires.
    assert.ok(now <= left && now >= left - 6, `${now} left, ${left} before`);
    left = now;
  }
  limiter.finish(own, nowMs);
  limiter.peek(handles, Int32Array.of(1), 1, nowMs, report);
  assert.equal(report.remaining[0], left + 7);
}
