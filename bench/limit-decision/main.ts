// What does one decision cost, and one key? `README.md` has the answer.

import assert from "node:assert/strict";
import { execFileSync, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { describeBars } from "../harness/bar.ts";
import { interleave } from "../harness/interleave.ts";
import { describeMachine, packageVersion } from "../harness/machine.ts";
import { readOptions } from "../harness/options.ts";
import { median } from "../harness/percentile.ts";
import { printResult } from "../harness/result.ts";
import { CONTENDERS, FLOORS, OURS, PEERS } from "./contenders.ts";
import { MEMORY_OF_OURS } from "./memory-contenders.ts";

const { isQuick, isCheckOnly } = readOptions(process.argv.slice(2));
const names = Object.keys(CONTENDERS);
const KEYS = 10_000;
const callsPerRound = isQuick ? 200_000 : 1_000_000;
const rounds = isQuick ? 5 : 11;
const keysForMemory = isQuick ? 200_000 : 1_000_000;
const BAR = 0.2;

for (const [name, open] of Object.entries(CONTENDERS)) {
  if (FLOORS.includes(name)) continue;
  // 1,000 keys with 5 each: any limiter must admit 5,000 of 20,000 calls that come at once.
  const keys = Array.from({ length: 1_000 }, (_, index) => `user:${index}`);
  const admitted = await open(5, 1_000).run(keys, 20_000);
  assert.equal(admitted, 5_000, `${name} admitted ${admitted} of 5000`);
}
console.log(`All ${names.length - FLOORS.length} admit the same number.`);
// Peers keep timers that would hold the process.
if (isCheckOnly) process.exit(0);

const admitting = await costs({ limit: 1_000_000_000, clock: "own" });
const refusing = await costs({ limit: 1, clock: "own" });
const still = await costs({ limit: 1_000_000_000, clock: "still" });
// By text key, of a million callers: what decides there is how far memory is.
const many = ["ours", "ours-bucket", ...PEERS, "floor: Map alone"];
const common = { limit: 1_000_000_000, clock: "own", keys: isQuick ? 200_000 : 1_000_000 } as const;
const skewed = await costs({ ...common, names: many, order: "zipf" });
const random = await costs({ ...common, names: many, order: "random" });
const bytesPerKey = Object.fromEntries(
  [...MEMORY_OF_OURS, ...PEERS].map((name) => [name, memoryOf(name)]),
);

for (const name of names) {
  const [yes, no, alone] = [admitting, refusing, still].map((each) => each[name]!.toFixed(3));
  console.log(`${name.padEnd(26)} ${yes} µs admitting, ${no} refusing, ${alone} without clock`);
}
for (const name of many) {
  const [zipf, uniform] = [skewed, random].map((each) => each[name]!.toFixed(3));
  console.log(
    `${name.padEnd(26)} ${zipf} µs by Zipf, ${uniform} at random, of ${common.keys} keys`,
  );
}
for (const [name, bytes] of Object.entries(bytesPerKey)) {
  console.log(`${name.padEnd(26)} ${bytes} bytes a key, of ${keysForMemory}`);
}
const bars = PEERS.map((peer) => ({ peer, atMost: BAR }));
const ratiosOf = (name: string, figures: Readonly<Record<string, number>>) =>
  Object.fromEntries(PEERS.map((peer) => [peer, figures[name]! / figures[peer]!]));
const printBars = (title: string, ratios: Readonly<Record<string, number>>): void =>
  console.log(`${title}:\n${describeBars(bars, ratios)}`);
printBars("By key, everybody's own clock (decides)", ratiosOf("ours", admitting));
printBars("By key, many keys by Zipf's law", ratiosOf("ours", skewed));
printBars("By key, many keys at random", ratiosOf("ours", random));
printBars("By key, clock without cost", ratiosOf("ours", still));
printBars(
  "By handle, clock read per chunk, as in the gateway",
  ratiosOf("ours-handle-chunk", admitting),
);

printResult({
  question: "limit-decision",
  ours: admitting["ours"]!,
  peers: Object.fromEntries(PEERS.map((peer) => [peer, admitting[peer]!])),
  ratio: ratiosOf("ours", admitting),
  unit: "µs",
  checked: true,
  others: Object.fromEntries(OURS.map((name) => [name, admitting[name]!])),
  refusing,
  withoutClock: still,
  ratioWithoutClock: ratiosOf("ours", still),
  ratioOfHandle: ratiosOf("ours-handle-chunk", admitting),
  manyKeys: common.keys,
  skewed,
  random,
  floors: Object.fromEntries(FLOORS.map((name) => [name, admitting[name]!])),
  bytesPerKey,
  keysForMemory,
  machine: describeMachine(false),
  versions: {
    node: process.version,
    "rate-limiter-flexible": packageVersion("rate-limiter-flexible"),
    "express-rate-limit": packageVersion("express-rate-limit"),
    "fastify-rate-limit": packageVersion("@fastify/rate-limit"),
    limiter: packageVersion("limiter"),
  },
});
process.exit(0);

/** Microseconds of CPU per decision, median of the rounds; the first two warm up and are left out. */
async function costs(options: {
  readonly limit: number;
  readonly clock: "own" | "still";
  readonly keys?: number;
  readonly names?: readonly string[];
  readonly order?: "turn" | "zipf" | "random";
}): Promise<Record<string, number>> {
  const script = fileURLToPath(new URL("contender-process.ts", import.meta.url));
  const { limit, clock, keys = KEYS, order = "turn", names: asked = names } = options;
  const args = [String(limit), String(keys), clock, order];
  const processes = new Map(asked.map((name) => [name, fork(script, [name, ...args])]));
  const values = await interleave(asked, rounds + 2, async (name) => {
    const contender = processes.get(name)!;
    contender.send(callsPerRound);
    const [microseconds] = await once(contender, "message");
    return Number(microseconds);
  });
  for (const contender of processes.values()) contender.kill();
  return Object.fromEntries(asked.map((name) => [name, median(values.get(name)!.slice(2))]));
}

/** Bytes of resident memory per key, in a process of its own. */
function memoryOf(name: string): number {
  const script = fileURLToPath(new URL("memory.ts", import.meta.url));
  const args = ["--expose-gc", script, name, String(keysForMemory)];
  return Math.round(Number(execFileSync(process.execPath, args, { encoding: "utf8" })));
}
