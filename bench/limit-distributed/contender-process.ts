// One node in a process of its own. Runs rounds when told.
//   node contender-process.ts <contender> <url> <limit> <keys> <budget ms>
// Message { calls }: decides so often; answers { admitted, microsecondsPerCall, wallMs }.
// Message { calls, forMs }: decides `calls` times every 5 ms for so long; answers { admissions: [[ms, units], …] }, on the
// machine's monotonic clock, which all processes share.

import assert from "node:assert/strict";
import { CONTENDERS } from "./contenders.ts";

const [name = "", url = "", limit = "", keyCount = "", budgetMs = ""] = process.argv.slice(2);
const open = CONTENDERS[name];
assert(open !== undefined, `no contender ${name}`);
const contender = await open({ url, limit: Number(limit), seconds: 1, budgetMs: Number(budgetMs) });
const keys = Array.from({ length: Number(keyCount) }, (_, index) => `user:${index}`);
const sharedOriginMs = Number(process.hrtime.bigint()) / 1e6 - performance.now();

process.on("message", (told: { calls: number; forMs?: number }) => {
  void (told.forMs === undefined ? measure(told.calls) : collect(told.calls, told.forMs));
});
process.on("disconnect", () => void contender.close().then(() => process.exit(0)));
process.send!("ready");

async function measure(calls: number): Promise<void> {
  const before = process.cpuUsage();
  const beganMs = performance.now();
  const admitted = await contender.run(keys, calls);
  const { user, system } = process.cpuUsage(before);
  process.send!({
    admitted,
    microsecondsPerCall: (user + system) / calls,
    wallMs: performance.now() - beganMs,
  });
}

async function collect(calls: number, forMs: number): Promise<void> {
  const admissions: [number, number][] = [];
  const endMs = performance.now() + forMs;
  while (performance.now() < endMs) {
    await contender.run(keys, calls, (atMs, units) =>
      admissions.push([sharedOriginMs + atMs, units]),
    );
    await new Promise((resolve) => void setTimeout(resolve, 5));
  }
  process.send!({ admissions });
}
