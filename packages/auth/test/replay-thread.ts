// Takes every value of a list as fast as it can, beside other threads that take the same ones.

import { parentPort, workerData } from "node:worker_threads";
import { attachReplayMemory, type ReplayTable } from "../src/replay-memory.ts";

const { table, values, gate } = workerData as {
  table: ReplayTable;
  values: readonly string[];
  gate: Int32Array;
};
const memory = attachReplayMemory(table);
Atomics.add(gate, 0, 1);
Atomics.wait(gate, 1, 0);
parentPort?.postMessage(values.filter((value) => memory.take(value, 60_000, 0) === "first"));
