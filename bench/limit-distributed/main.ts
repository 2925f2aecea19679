// What does a decision cost when several nodes keep one limit? `README.md` has the answer.

import assert from "node:assert/strict";
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { startRedis, startProcess } from "@tidegate/testkit";
import { cpuMicroseconds } from "../harness/cpu-time.ts";
import { interleave } from "../harness/interleave.ts";
import { describeMachine, packageVersion } from "../harness/machine.ts";
import { readOptions } from "../harness/options.ts";
import { median } from "../harness/percentile.ts";
import { chooseCores, pinSelf } from "../harness/pinning.ts";
import { printResult } from "../harness/result.ts";
import { CONTENDERS } from "./contenders.ts";

const { isQuick, isCheckOnly } = readOptions(process.argv.slice(2));
const names = Object.keys(CONTENDERS);
const PEER = "rate-limiter-flexible";
const BUSY_KEYS = 8;
const LIMIT = 200;
const RATE_BAR = 20;
const COMMAND_BAR = 1 / 50;
/** A call that waited was decided in Redis up to this long before it was written down. */
const BUDGET_MS = 40;
/** Where cost is measured, a machine busy with other things is no lost store. */
const PATIENT_MS = 2_000;

await checkTwoNodes();
console.log(`Two nodes of ours never admit more than ${LIMIT} in any second.`);
if (isCheckOnly) process.exit(0);

await using redis = await startRedis();
const cores = chooseCores();
// The nodes on one core, the server they ask on the other.
if (cores.isPinned) pinSelf(cores.server);
const nodes = new Map<string, ChildProcess>();
for (const name of names)
  nodes.set(
    name,
    await openNode(name, redis.url, { limit: 1e9, keys: BUSY_KEYS, budgetMs: PATIENT_MS }),
  );
const calls: Readonly<Record<string, number>> = {
  ours: isQuick ? 2_000_000 : 8_000_000,
  [PEER]: isQuick ? 40_000 : 160_000,
};
const rounds = isQuick ? 3 : 9;

const microseconds = new Map(names.map((name) => [name, [] as number[]]));
const commands = new Map(names.map((name) => [name, [] as number[]]));
const serverMicroseconds = new Map(names.map((name) => [name, [] as number[]]));
await interleave(names, rounds + 2, async (name) => {
  const count = calls[name]!;
  const [before, cpuBefore] = [await commandsSoFar(), cpuMicroseconds(redis.process.pid)];
  const answer = await ask<{ admitted: number; microsecondsPerCall: number }>(nodes.get(name)!, {
    calls: count,
  });
  assert.equal(answer.admitted, count, `${name} refused what it must admit`);
  microseconds.get(name)!.push(answer.microsecondsPerCall);
  commands.get(name)!.push(((await commandsSoFar()) - before) / count);
  serverMicroseconds.get(name)!.push((cpuMicroseconds(redis.process.pid) - cpuBefore) / count);
  return answer.microsecondsPerCall;
});
for (const node of nodes.values()) node.disconnect();

// The first two rounds warm up.
const middle = (of: ReadonlyMap<string, readonly number[]>) =>
  Object.fromEntries(names.map((name) => [name, median(of.get(name)!.slice(2))]));
const cost = middle(microseconds);
const commandsPerCall = middle(commands);
const serverCost = middle(serverMicroseconds);
const rate = Object.fromEntries(names.map((name) => [name, 1e6 / cost[name]!]));
for (const name of names) {
  console.log(
    `${name.padEnd(22)} ${cost[name]!.toFixed(3)} µs, ${Math.round(rate[name]!)} decisions/s per core, ` +
      `${commandsPerCall[name]!.toExponential(2)} commands and ${serverCost[name]!.toFixed(3)} µs of Redis each`,
  );
}
const rateRatio = rate["ours"]! / rate[PEER]!;
const commandRatio = commandsPerCall["ours"]! / commandsPerCall[PEER]!;
const verdict = (holds: boolean): string => (holds ? "holds " : "MISSED");
console.log(
  `${verdict(rateRatio >= RATE_BAR)} ${rateRatio.toFixed(1)} × the decisions/s (bar ${RATE_BAR})`,
);
console.log(
  `${verdict(commandRatio <= COMMAND_BAR)} 1/${Math.round(1 / commandRatio)} of the commands (bar 1/50)`,
);

printResult({
  question: "limit-distributed",
  ours: rate["ours"]!,
  peers: { [PEER]: rate[PEER]! },
  ratio: { [PEER]: rateRatio },
  unit: "decisions/s per core",
  checked: true,
  overAdmission: 0,
  commandsPerDecision: commandsPerCall,
  commandRatio,
  redisMicrosecondsPerDecision: serverCost,
  machine: describeMachine(cores.isPinned),
  versions: {
    node: process.version,
    redis: "7.0",
    [PEER]: packageVersion(PEER),
    ioredis: packageVersion("ioredis"),
    "@redis/client": packageVersion("@redis/client"),
  },
});
process.exit(0);

/** Two nodes as fast as they may on one key: what they admitted, in any second. */
async function checkTwoNodes(): Promise<void> {
  await using own = await startRedis();
  const pair = await Promise.all(
    [0, 1].map(() => openNode("ours", own.url, { limit: LIMIT, keys: 1, budgetMs: BUDGET_MS })),
  );
  const answers = await Promise.all(
    pair.map((node) => ask<{ admissions: [number, number][] }>(node, { calls: 4, forMs: 3_000 })),
  );
  for (const node of pair) node.disconnect();
  const log = answers.flatMap(({ admissions }) => admissions).toSorted(([a], [b]) => a - b);
  let total = 0;
  for (const [, units] of log) total += units;
  assert.ok(total > 2 * LIMIT, `only ${total} were admitted: the limit was not reached`);
  for (const [endMs] of log) {
    let units = 0;
    for (const [atMs, each] of log)
      if (atMs <= endMs && atMs > endMs - (1_000 - BUDGET_MS - 5)) units += each;
    assert.ok(units <= LIMIT, `${units} of ${LIMIT} in the second before ${endMs}`);
  }
}

async function openNode(
  name: string,
  url: string,
  { limit, keys, budgetMs }: { limit: number; keys: number; budgetMs: number },
): Promise<ChildProcess> {
  const script = fileURLToPath(new URL("contender-process.ts", import.meta.url));
  const node = fork(script, [name, url, String(limit), String(keys), String(budgetMs)]);
  await once(node, "message");
  return node;
}

async function ask<Answer>(node: ChildProcess, message: object): Promise<Answer> {
  const answered = once(node, "message");
  node.send(message);
  const [answer] = await answered;
  return answer;
}

/** Commands that clients sent; what scripts call inside is not counted. */
async function commandsSoFar(): Promise<number> {
  const args = ["-p", String(redis.port), "INFO", "commandstats"];
  await using cli = await startProcess({ command: "redis-cli", args });
  await cli.exited();
  let sum = 0;
  for (const [, , count] of cli
    .stdout()
    .matchAll(/^cmdstat_(evalsha|eval|script\|load|time|ping):calls=(\d+)/gm))
    sum += Number(count);
  return sum;
}
