// One node of a fault run: asks for one shared limit as fast as it may, and prints what was admitted, each with the time of
// the machine's monotonic clock that all processes share. Lines: "a <ms> <units>" admitted, "s <state> <reason>", "c <json>" counts.

import { writeSync } from "node:fs";
import { systemClock, systemRandom, type Clock } from "@tidegate/clock";
import { createLimitReport } from "../src/limiter.ts";
import { createSharedLimiter, PENDING, RedisStore, SHARED_OUTCOME } from "../src/redis/index.ts";

const options = JSON.parse(process.argv[2]!);
const report = createLimitReport();
const machineMs = (): number => Number(process.hrtime.bigint()) / 1e6;
// The machine's clock as this process's own: what is printed is what was decided by.
const clock: Clock = { ...systemClock, monotonicMs: machineMs };
const print = (line: string): void => void writeSync(1, `${line}\n`);
const store = new RedisStore({
  url: options.url,
  clock,
  random: systemRandom,
  node: systemRandom.bytes(9).toString("base64url"),
  prefix: "t",
  whenEmpty: options.whenEmpty ?? "grant",
  whenRestarted: options.whenRestarted ?? "learn",
  stateChanged: (state, reason) => print(`s ${state} ${reason}`),
});
const limiter = createSharedLimiter({
  limits: new Map([[0, { definition: options.definition, whenStoreLost: options.whenStoreLost }]]),
  store,
  clock,
  random: systemRandom,
  prefix: "t",
  nodes: 2,
  budgetMs: options.budgetMs ?? 40,
});
const handles = Int32Array.of(limiter.intern(0, "ada"));
const costs = Int32Array.of(1);
const counts = { refused: 0, unavailable: 0 };
const { signal } = new AbortController();

const note = (outcome: number): number => {
  if (outcome === SHARED_OUTCOME.admitted) return 1;
  if (outcome === SHARED_OUTCOME.unavailable) counts.unavailable++;
  else counts.refused++;
  return 0;
};

const run = (): void => {
  const nowMs = machineMs();
  let admitted = 0;
  for (let call = 0; call < options.callsPerTick; call++) {
    const outcome = limiter.acquire(handles, costs, 1, nowMs, report);
    if (outcome !== PENDING) admitted += note(outcome);
    else {
      void limiter
        .acquireRemote(handles, costs, 1, createLimitReport(), undefined, signal)
        .then((then) => {
          const atMs = machineMs();
          if (note(then) > 0) print(`a ${atMs.toFixed(1)} 1`);
        });
    }
  }
  if (admitted > 0) print(`a ${nowMs.toFixed(1)} ${admitted}`);
};
let ticks = 0;
const tick = (): void => {
  run();
  if (++ticks % 50 === 0) print(`c ${JSON.stringify({ ...counts, ...limiter.statistics() })}`);
  clock.after(5, tick);
};
setInterval(() => undefined, 1_000);
tick();
