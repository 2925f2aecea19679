import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { systemRandom } from "@tidegate/clock";
import { waitFor } from "@tidegate/testkit";
import { attachReplayMemory, createReplayTable } from "./replay-memory.ts";

test("take() tells at most one of several threads that it was the first", async () => {
  const table = createReplayTable({ random: systemRandom, slotCount: 65_536 });
  const values = Array.from({ length: 10_000 }, (_, at) => `value ${at}`);
  const gate = new Int32Array(new SharedArrayBuffer(8));
  const entry = new URL("../test/replay-thread.ts", import.meta.url);
  const threads = [0, 1].map(() => new Worker(entry, { workerData: { table, values, gate } }));
  const answers = threads.map(async (thread) => (await once(thread, "message"))[0] as string[]);
  await waitFor(() => Atomics.load(gate, 0) === 2, { what: "both threads" });
  Atomics.store(gate, 1, 1);
  Atomics.notify(gate, 1);
  const firsts = (await Promise.all(answers)).flat();
  assert.equal(new Set(firsts).size, firsts.length);
  // Both may lose a value that they take in the same moment, which is rare.
  assert.ok(firsts.length > 9_000, String(firsts.length));
  await Promise.all(threads.map((thread) => thread.terminate()));
});

test("take() forgets a value when its time is over, not before", () => {
  const memory = attachReplayMemory(createReplayTable({ random: systemRandom, slotCount: 16 }));
  assert.equal(memory.take("a", 60_000, 0), "first");
  assert.equal(memory.take("a", 60_000, 59_999), "seen");
  assert.equal(memory.take("a", 122_000, 62_000), "first");
});

test("two memories of one table are one; those of two tables are not", () => {
  const table = createReplayTable({ random: systemRandom });
  assert.equal(attachReplayMemory(table).take("a", 60_000, 0), "first");
  assert.equal(attachReplayMemory(table).take("a", 60_000, 0), "seen");
  const other = attachReplayMemory(createReplayTable({ random: systemRandom }));
  assert.equal(other.take("a", 60_000, 0), "first");
});
