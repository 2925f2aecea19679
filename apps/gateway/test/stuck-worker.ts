// A worker that says it is ready and whose event loop then stands still for ever.

import { parentPort } from "node:worker_threads";
import { systemClock } from "@tidegate/clock";
import { Bus } from "../src/worker/bus.ts";

if (parentPort === null) throw new Error("Cannot run: this file is the entry of a worker thread");
const bus = new Bus(parentPort, systemClock, {});
await bus.ask("ready", { port: 0 }, 5_000);
for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
