// What does one decision cost, and one key? `README.md` has the answer.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { describeBars } from "../harness/bar.ts";
import { interleave } from "../harness/interleave.ts";
import { describeMachine, packageVersion } from "../harness/machine.ts";
import { readOptions } from "../harness/options.ts";
import { median } from "../harness/percentile.ts";
import { printResult } from "../harness/result.ts";
import { CONTENDERS } from "./contenders.ts";

const { isQuick, isCheckOnly } = readOptions(process.argv.slice(2));
const PEERS = ["rate-limiter-flexible", "express-rate-limit", "fastify-rate-limit", "limiter"];
const names = Object.keys(CONTENDERS);
const keys = Array.from({ length: 10_000 }, (_, index) => `user:${index}`);
const callsPerRound = isQuick ? 200_000 : 1_000_000;
const rounds = isQuick ? 5 : 11;
const keysForMemory = isQuick ? 200_000 : 1_000_000;

for (const name of names) {
  // 1,000 keys with 5 each: any limiter must admit 5,000 of 20,000 calls that come at once.
  const admitted = await CONTENDERS[name]!(5, 1_000).run(keys.slice(0, 1_000), 20_000);
  assert.equal(admitted, 5_000, `${name} admitted ${admitted} of 5000`);
}
console.log(`All ${names.length} admit the same number.`);
// Peers keep timers that would hold the process.
if (isCheckOnly) process.exit(0);
await measure();

async function measure(): Promise<void> {
  const admitting = await costs(1_000_000_000);
  const refusing = await costs(1);
  const bytesPerKey = Object.fromEntries(
    names.map((name) => {
      const script = join(import.meta.dirname, "memory.ts");
      const args = ["--expose-gc", script, name, String(keysForMemory)];
      const printed = execFileSync(process.execPath, args, { encoding: "utf8" });
      return [name, Math.round(Number(printed))];
    }),
  );

  for (const name of names) {
    const [yes, no] = [admitting[name]!.toFixed(3), refusing[name]!.toFixed(3)];
    console.log(
      `${name.padEnd(24)} ${yes} µs admitting, ${no} µs refusing, ${bytesPerKey[name]} bytes a key`,
    );
  }
  const ratio = Object.fromEntries(
    PEERS.map((peer) => [peer, admitting["ours"]! / admitting[peer]!]),
  );
  const ratioOfHandle = Object.fromEntries(
    PEERS.map((peer) => [peer, admitting["ours-handle"]! / admitting[peer]!]),
  );
  console.log("By key:");
  console.log(
    describeBars(
      PEERS.map((peer) => ({ peer, atMost: 0.2 })),
      ratio,
    ),
  );
  console.log("By handle:");
  console.log(
    describeBars(
      PEERS.map((peer) => ({ peer, atMost: 0.2 })),
      ratioOfHandle,
    ),
  );
  printResult({
    question: "limit-decision",
    ours: admitting["ours"]!,
    peers: Object.fromEntries(PEERS.map((peer) => [peer, admitting[peer]!])),
    ratio,
    unit: "µs",
    checked: true,
    handle: admitting["ours-handle"]!,
    handleShared: admitting["ours-handle-shared"]!,
    ratioOfHandle,
    refusing,
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
  // Peers keep timers that would hold the process.
  process.exit(0);
}

/** Microseconds of CPU per decision, median of the rounds; the first round warms up and is left out. */
async function costs(limit: number): Promise<Record<string, number>> {
  const contenders = new Map(names.map((name) => [name, CONTENDERS[name]!(limit, keys.length)]));
  const values = await interleave(names, rounds + 1, async (name) => {
    const before = process.cpuUsage();
    await contenders.get(name)!.run(keys, callsPerRound);
    const { user, system } = process.cpuUsage(before);
    return (user + system) / callsPerRound;
  });
  return Object.fromEntries(names.map((name) => [name, median(values.get(name)!.slice(1))]));
}
