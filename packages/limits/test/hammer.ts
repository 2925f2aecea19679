import assert from "node:assert/strict";
import { parentPort, workerData } from "node:worker_threads";
import {
  attachLimiter,
  createLimitReport,
  createReservation,
  OUTCOME,
  type LimiterMemory,
} from "@tidegate/limits";

/** What a worker of the thread tests is told. All loops run as fast as they can on the same memory. */
export interface Hammer {
  readonly memory: LimiterMemory;
  readonly lockOwner: number;
  readonly task:
    | { readonly kind: "count"; readonly limits: readonly number[]; readonly calls: number }
    | { readonly kind: "keys"; readonly keys: number; readonly callsPerKey: number }
    | { readonly kind: "forever"; readonly keys: number }
    | { readonly kind: "hold"; readonly units: number }
    | { readonly kind: "hold and let go" };
  /** Element 0: set to begin. 1: ready workers. 2: locks not had in time. From `ADMISSIONS` on: admissions by key. */
  readonly shared: Int32Array;
}

const ADMISSIONS = 3;
const { memory, lockOwner, task, shared } = workerData as Hammer;
const limiter = attachLimiter({ memory, lockOwner, maxHandles: 100_000 });
const report = createLimitReport();
const ones = Int32Array.of(1, 1);
const NOW_MS = 1_000;
const slots = Array.from({ length: 8 }, () => createReservation());

Atomics.add(shared, 1, 1);
Atomics.notify(shared, 1);
Atomics.wait(shared, 0, 0);

switch (task.kind) {
  case "count":
    count(task.limits, task.calls);
    break;
  case "keys":
    takeFromKeys(task.keys, task.callsPerKey);
    break;
  case "forever":
    for (;;) takeAndGiveBack(task.keys);
  case "hold":
    hold(task.units);
    break;
  case "hold and let go":
    for (let turn = 0; ; turn++) holdAndLetGo(turn);
}
Atomics.add(shared, 2, limiter.statistics().lockTimeouts);
parentPort!.close();

/** Takes slots of the one limit and waits for the end with them. */
function hold(units: number): never {
  const handles = Int32Array.of(limiter.intern(0, "ada"));
  for (let held = 0; held < units; held++) {
    const reservation = createReservation();
    limiter.reserve(handles, Int32Array.of(1), 1, NOW_MS, report, reservation);
    limiter.renew(reservation, NOW_MS);
  }
  Atomics.store(shared, ADMISSIONS, 1);
  Atomics.notify(shared, ADMISSIONS);
  for (;;) Atomics.wait(shared, 1, Atomics.load(shared, 1));
}

/** Every step that a holder can make. */
function holdAndLetGo(turn: number): void {
  const handles = Int32Array.of(limiter.intern(0, "ada"));
  const reservation = slots[turn % slots.length]!;
  const nowMs = NOW_MS + turn / 100;
  limiter.finish(reservation, nowMs);
  limiter.reserve(handles, Int32Array.of(1 + (turn % 3)), 1, nowMs, report, reservation);
  limiter.settle(slots[(turn + 3) % slots.length]!, nowMs);
  limiter.renew(slots[(turn + 5) % slots.length]!, nowMs);
  limiter.release(handles[0]!);
}

/** One unit of two limits, again and again; every third admission is given back. */
function count(limits: readonly number[], calls: number): void {
  const handles = Int32Array.from(limits, (limit) => limiter.intern(limit, "ada"));
  const reservation = createReservation();
  for (let call = 0; call < calls; call++) {
    if (call % 3 === 0) {
      const outcome = limiter.reserve(handles, ones, 2, NOW_MS, report, reservation);
      if (outcome === OUTCOME.admitted) limiter.refund(reservation, NOW_MS);
    } else if (limiter.acquire(handles, ones, 2, NOW_MS, report) === OUTCOME.admitted) {
      Atomics.add(shared, ADMISSIONS, 1);
    }
  }
}

/** Both threads make each key's record at about the same time and race for its units. */
function takeFromKeys(keys: number, callsPerKey: number): void {
  const handles = new Int32Array(2);
  for (let key = 0; key < keys; key++) {
    handles[0] = limiter.intern(0, `key ${key}`);
    handles[1] = limiter.intern(1, `key ${key}`);
    for (let call = 0; call < callsPerKey; call++) {
      if (limiter.acquire(handles, ones, 2, NOW_MS, report) === OUTCOME.admitted) {
        Atomics.add(shared, ADMISSIONS + key, 1);
      }
    }
    limiter.release(handles[0]);
    limiter.release(handles[1]);
  }
}

function takeAndGiveBack(keys: number): void {
  const handles = new Int32Array(2);
  const reservation = createReservation();
  for (let key = 0; key < keys; key++) {
    // The key of one limit is another caller's of the other, so that threads hold crossing pairs.
    handles[0] = limiter.intern(0, `key ${key}`);
    handles[1] = limiter.intern(1, `key ${keys - 1 - key}`);
    if (limiter.reserve(handles, ones, 2, NOW_MS, report, reservation) === OUTCOME.admitted) {
      if (key % 2 === 0) limiter.settle(reservation, NOW_MS);
      else limiter.refund(reservation, NOW_MS);
      if (key % 2 === 0) Atomics.add(shared, ADMISSIONS + key, 1);
    }
    limiter.release(handles[0]);
    limiter.release(handles[1]);
  }
  // Makes and takes back records too, so that threads also end while they change chains.
  handles[0] = limiter.intern(0, `passing ${Math.trunc(performance.now() * 1_000)}`);
  limiter.peek(handles, ones, 1, NOW_MS, report);
  limiter.release(handles[0]);
  limiter.sweep(NOW_MS, 64);
  assert.equal(reservation.count, 0);
}
