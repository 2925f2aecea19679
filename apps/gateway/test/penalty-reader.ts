// A thread that asks about two callers as fast as it can: one is boxed all the time, one never is.

import { parentPort, workerData } from "node:worker_threads";
import { systemClock } from "@tidegate/clock";
import type { PenaltyKey } from "../src/penalty/penalty-key.ts";
import { PenaltyTable, type PenaltyMemory } from "../src/penalty/penalty-table.ts";

const { memory, boxed, free, stop } = workerData as {
  memory: PenaltyMemory;
  boxed: PenaltyKey;
  free: PenaltyKey;
  stop: Int32Array;
};
const table = new PenaltyTable(memory, systemClock);
const boxedName = table.name(boxed);
const freeName = table.name(free);
let asked = 0;
let wrong = 0;
parentPort?.postMessage("begun");
while (Atomics.load(stop, 0) === 0) {
  asked++;
  if (!table.isBoxed(boxedName)) wrong++;
  if (table.isBoxed(freeName)) wrong++;
}
parentPort?.postMessage({ asked, wrong });
