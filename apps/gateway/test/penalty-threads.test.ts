// The table of penalties is read by other threads while it is written, without a lock.

import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { ANONYMOUS } from "@tidegate/auth";
import { systemClock, systemRandom } from "@tidegate/clock";
import { penaltyKeyOf } from "../src/penalty/penalty-key.ts";
import type { Penalty } from "../src/penalty/penalty-rules.ts";
import { createPenaltyMemory } from "../src/penalty/penalty-table.ts";
import { PenaltyTableWriter } from "../src/penalty/penalty-table-writer.ts";

test("a reader never misses who is boxed, whatever is written, dropped and rebuilt meanwhile", async () => {
  const secret = systemRandom.bytes(32);
  const memory = createPenaltyMemory({ maxPenalties: 16, secret, clock: systemClock });
  const writer = new PenaltyTableWriter(memory);
  const penalty: Penalty = {
    kind: "address",
    strikes: 1,
    countedAtMs: 0,
    untilMs: systemClock.wallMs() + 3_600_000,
    startedMs: systemClock.wallMs(),
    reason: "calls",
  };
  const key = (network: string) => penaltyKeyOf(ANONYMOUS, network);
  const boxed = key("192.0.2.1");
  writer.put(boxed.narrow, penalty);
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(new URL("./penalty-reader.ts", import.meta.url), {
    workerData: { memory, boxed, free: key("198.51.100.1"), stop },
  });
  await once(worker, "message");
  // 100,000 keys through 32 slots: the table is rebuilt thousands of times.
  for (let number = 0; number < 100_000; number++) {
    writer.put(`key ${number}`, penalty);
    if (number >= 8) writer.drop(`key ${number - 8}`);
  }
  Atomics.store(stop, 0, 1);
  const [counted] = (await once(worker, "message")) as [{ asked: number; wrong: number }];
  assert.equal(counted.wrong, 0);
  assert.ok(counted.asked > 1_000, `only ${counted.asked} questions`);
});
