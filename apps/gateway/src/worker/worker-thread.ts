// One worker: the data plane on a thread of its own. An error nobody caught ends this thread and its connections,
// not the process; the supervisor starts another one.

import { parentPort, workerData } from "node:worker_threads";
import { systemClock, systemRandom } from "@tidegate/clock";
import { attachLimiter } from "@tidegate/limits";
import { fromPortable } from "../config/config-functions.ts";
import { deepFreeze } from "../config/frozen.ts";
import { openLogDestination } from "../record/log-destination.ts";
import { joinPenalties } from "../penalty/open-penalties.ts";
import { createLogger } from "../record/logger.ts";
import { createMetrics } from "../record/metrics.ts";
import { Bus } from "./bus.ts";
import { busLogDestination } from "./bus-log-destination.ts";
import type { MainThread } from "./data-threads.ts";
import { remotePasswords } from "./remote-passwords.ts";
import { runDataPlane } from "./run-data-plane.ts";
import { CELL, WorkerCells } from "./worker-cells.ts";
import type { WorkerInit, WorkerReady } from "./worker-init.ts";

/** How often the worker shows that its event loop turns, and tells what is new. */
const BEAT_MS = 100;
const TELL_DEADLINE_MS = 5_000;
/** Lines that are still here when the worker stops have so long to reach the main thread. */
const FLUSH_DEADLINE_MS = 1_000;

if (parentPort === null) throw new Error("Cannot run: this file is the entry of a worker thread");

const init = workerData as WorkerInit;
const clock = systemClock;
const random = systemRandom;
const config = deepFreeze(await fromPortable(init.config));
const cells = new WorkerCells(init.cells);
const bus = new Bus(parentPort, clock, {
  drain: () => plane.drain(),
  stop,
  // Answered after what it tells: messages keep their order.
  "tell-metrics": tellMetrics,
});
const log = createLogger({
  level: config.record.level,
  // Several threads may append to one file, each a chunk of whole lines at a time; a pipe has one writer.
  destination:
    config.record.destination === "stdout"
      ? busLogDestination(bus)
      : openLogDestination(config.record.destination),
  maxBufferedBytes: config.record.maxBufferedBytes,
  clock,
  closeDeadlineMs: FLUSH_DEADLINE_MS,
});
const metrics = createMetrics();
const main: MainThread = {
  ask: (kind, payload, deadlineMs) => bus.ask(kind, payload, deadlineMs),
  whenTold: (kind, handler) => bus.handle(kind, handler),
};
const openPasswords = remotePasswords({ main, issuers: init.passwordIssuers, clock, random });
const plane = await runDataPlane({
  config,
  worker: init.worker,
  workers: init.workers,
  life: init.life,
  port: init.port,
  isPortShared: true,
  viaName: init.viaName,
  cells,
  main,
  mayServe: async () => void (await bus.ask("may-serve", undefined, TELL_DEADLINE_MS)),
  createLimiter() {
    if (init.limits === undefined) throw new Error("Cannot limit: the supervisor sent no memory");
    return attachLimiter({ ...init.limits, clock });
  },
  openPasswords,
  penalties:
    init.penalties && joinPenalties({ config, init: init.penalties, main, metrics, log, clock }),
  metrics,
  log,
  clock,
  random,
});

let toldBlocks = 0;
let toldReadiness = "";
let beatTimer = clock.after(0, beat);
await bus.ask("ready", { port: plane.port } satisfies WorkerReady, TELL_DEADLINE_MS);

function beat(): void {
  cells.add(init.worker, CELL.heartbeat, 1);
  tellMetrics();
  const readiness = plane.readiness();
  const shown = JSON.stringify(readiness);
  if (shown !== toldReadiness) tell("readiness", readiness);
  toldReadiness = shown;
  beatTimer = clock.after(BEAT_MS, beat);
}

/** The counters themselves are shared; only those that are new must be told. */
function tellMetrics(): void {
  cells.set(init.worker, CELL.droppedLines, log.droppedLines);
  const news = metrics.blocks.slice(toldBlocks);
  toldBlocks += news.length;
  if (news.length > 0) tell("metric-blocks", news);
}

// The supervisor that does not answer is gone, and this thread with it.
function tell(kind: string, payload: unknown): void {
  bus.ask(kind, payload, TELL_DEADLINE_MS).catch(() => undefined);
}

async function stop(): Promise<{ requestsCut: number; socketsCut: number }> {
  const cut = { requestsCut: plane.requestsInFlight, socketsCut: plane.socketsOpen };
  await plane[Symbol.asyncDispose]();
  await log[Symbol.asyncDispose]();
  beatTimer.cancel();
  cells.set(init.worker, CELL.droppedLines, log.droppedLines);
  return cut;
}
