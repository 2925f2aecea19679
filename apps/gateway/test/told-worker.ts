// A worker that heeds some of what it is told, and passes on to the main thread what it has heard.

import { parentPort } from "node:worker_threads";
import { systemClock } from "@tidegate/clock";
import { Bus } from "../src/worker/bus.ts";

if (parentPort === null) throw new Error("Cannot run: this file is the entry of a worker thread");
const heard: unknown[] = [];
const bus = new Bus(parentPort, systemClock, {
  heed: (payload) => void heard.push(payload),
  ignore: () => new Promise(() => undefined),
  fail: () => Promise.reject(new Error("as planned")),
});
await bus.ask("early", undefined, 5_000);
await bus.ask("may-serve", undefined, 5_000);
await bus.ask("heard", heard, 5_000);
await bus.ask("ready", { port: 0 }, 5_000);
