// How far does a limiter let callers go above the limit, and how much does it refuse without need? `README.md`.

import assert from "node:assert/strict";
import { describeMachine, packageVersion } from "../harness/machine.ts";
import { readOptions } from "../harness/options.ts";
import { printResult } from "../harness/result.ts";
import { ARRIVALS, type Arrival } from "./arrivals.ts";
import { clock, CONTENDERS, type OpenContender } from "./contenders.ts";
import { admitExactly, totalCost, worstWindow } from "./oracle.ts";

const { isQuick, isCheckOnly } = readOptions(process.argv.slice(2));
// Everybody's time is the run's. Timers are not: peers compare times and forget callers by timer only to save memory.
Date.now = () => clock.wallMs();
performance.now = () => clock.monotonicMs();

const LIMITS = [
  { limit: 5, seconds: 60 },
  { limit: 100, seconds: 60 },
  ...(isQuick || isCheckOnly ? [] : [{ limit: 1_000, seconds: 1 }]),
];

interface Accuracy {
  /** Above the limit, as a share of it, in the worst window of all runs. */
  overAdmission: number;
  /** Of what an exact limiter admits on the same arrivals, the largest share that was refused. */
  underAdmission: number;
}

const results: Record<string, Accuracy> = {};
for (const [name, open] of Object.entries(CONTENDERS)) {
  const result = { overAdmission: 0, underAdmission: 0 };
  const lines: string[] = [];
  for (const { limit, seconds } of LIMITS) {
    for (const [pattern, arrivalsOf] of Object.entries(ARRIVALS)) {
      const arrivals = arrivalsOf(limit, seconds);
      const admitted = await run(open, { limit, seconds, arrivals });
      const worst = worstWindow(admitted, seconds * 1_000) / limit;
      const needed = totalCost(admitExactly(arrivals, limit, seconds * 1_000));
      const share = totalCost(admitted) / needed;
      result.overAdmission = Math.max(result.overAdmission, worst - 1);
      result.underAdmission = Math.max(result.underAdmission, 1 - share);
      lines.push(
        `  ${limit}/${seconds} s ${pattern.padEnd(9)} worst ${worst.toFixed(3)} admitted ${share.toFixed(3)}`,
      );
    }
  }
  results[name] = result;
  console.log(
    `${name}: over ${result.overAdmission.toFixed(3)}, under ${result.underAdmission.toFixed(3)}`,
  );
  if (!isCheckOnly) console.log(lines.join("\n"));
}

// Controls first: a harness that does not catch these would not catch anybody.
assert.ok(results["control-fixed-window"]!.overAdmission > 0.99, "a fixed window must reach 2.0");
assert.ok(
  results["control-interpolated"]!.overAdmission > 0.7,
  "an interpolated one comes near 2.0",
);
assert.equal(results["ours-exact"]!.overAdmission, 0);
assert.equal(results["ours-exact"]!.underAdmission, 0);
assert.equal(results["ours-sub-windows"]!.overAdmission, 0);
console.log("The controls fail as they must; ours never admits above the limit.");
if (isCheckOnly) process.exit(0);

const PEERS = ["rate-limiter-flexible", "express-rate-limit", "fastify-rate-limit", "limiter"];
printResult({
  question: "limit-accuracy",
  ours: results["ours-sub-windows"]!,
  oursExact: results["ours-exact"]!,
  peers: Object.fromEntries(PEERS.map((peer) => [peer, results[peer]!])),
  controls: {
    fixedWindow: results["control-fixed-window"]!,
    interpolated: results["control-interpolated"]!,
  },
  // Worst window of ours ÷ the peer's.
  ratio: Object.fromEntries(PEERS.map((peer) => [peer, 1 / (1 + results[peer]!.overAdmission)])),
  unit: "share of the limit",
  checked: true,
  machine: describeMachine(false),
  versions: {
    node: process.version,
    ...Object.fromEntries(
      [...PEERS.slice(0, 2), "@fastify/rate-limit", "limiter"].map((name) => [
        name,
        packageVersion(name),
      ]),
    ),
  },
});
process.exit(0);

/** Plays the arrivals on the run's clock; returns what was admitted. */
async function run(
  open: OpenContender,
  options: {
    readonly limit: number;
    readonly seconds: number;
    readonly arrivals: readonly Arrival[];
  },
): Promise<Arrival[]> {
  const { limit, seconds, arrivals } = options;
  // Far from whatever came before, at a boundary of windows.
  const windowMs = seconds * 1_000;
  const startMs = (Math.ceil(clock.monotonicMs() / windowMs) + 100) * windowMs;
  clock.advance(startMs - clock.monotonicMs());
  const admits = open(limit, seconds);
  const admitted: Arrival[] = [];
  for (const arrival of arrivals) {
    const dueMs = startMs + arrival.atMs - clock.monotonicMs();
    if (dueMs > 0) clock.advance(dueMs);
    if (await admits(arrival.cost)) admitted.push(arrival);
  }
  return admitted;
}
