// What does it cost to police every message of a socket? `README.md` has the answer.

import assert from "node:assert/strict";
import { join } from "node:path";
import { startProcess, tempFolder, waitFor } from "@tidegate/testkit";
import { describeBars, type Bar } from "../harness/bar.ts";
import { cpuMicroseconds } from "../harness/cpu-time.ts";
import { interleave } from "../harness/interleave.ts";
import { describeMachine, packageVersion, programVersion } from "../harness/machine.ts";
import { readOptions } from "../harness/options.ts";
import { median } from "../harness/percentile.ts";
import { chooseCores, pinned, pinSelf } from "../harness/pinning.ts";
import { printResult } from "../harness/result.ts";
import { CHECKED_TEXTS, checkContenders, countedMessages } from "./check.ts";
import { OURS, startContenders } from "./contenders.ts";
import { openSocketLoader } from "./socket-load.ts";

const BARS: readonly Bar[] = [
  { peer: "haproxy-tunnel", atMost: 1.5 },
  { peer: "ws-relay", atMost: 1 / 8 },
];
const CONNECTIONS = 64;
const BATCH = 16;

const { isQuick, isCheckOnly } = readOptions(process.argv.slice(2));
// Multiples of connections × batch.
const batchedPerRound = CONNECTIONS * BATCH * (isQuick ? 60 : 200);
const singlePerRound = CONNECTIONS * (isQuick ? 100 : 400);
const warmUpRounds = isQuick ? 6 : 5;
const rounds = isQuick ? 5 : 15;

const cores = chooseCores();
if (cores.isPinned) pinSelf(cores.generator);
await using folder = await tempFolder();
const echo = [process.execPath, join(import.meta.dirname, "echo-upstream.ts")];
const [command = "", ...args] = cores.isPinned ? pinned(cores.generator, echo) : echo;
await using upstream = await startProcess({ command, args, readyWhen: /listening \d+/ });
const upstreamPort = Number(/listening (\d+)/.exec(upstream.stdout())?.[1]);
await using contenders = await startContenders({ folder, cores, upstreamPort });
await checkContenders(contenders);
console.log(`All ${contenders.all.length} give back what they got, and ours refuses over a limit.`);
if (!isCheckOnly) await measure();

async function measure(): Promise<void> {
  const byName = new Map(contenders.all.map((contender) => [contender.name, contender]));
  const names = [...byName.keys()];
  let sentThroughOurs = CHECKED_TEXTS;

  const perMessage = async (name: string, messages: number, batch: number): Promise<number> => {
    const contender = byName.get(name);
    assert.ok(contender !== undefined);
    await using loader = await openSocketLoader({ port: contender.port, connections: CONNECTIONS });
    // Handshakes and first turns of the loop are not what is asked about.
    await loader.run(CONNECTIONS * batch, batch);
    const before = cpuMicroseconds(contender.pid);
    await loader.run(messages, batch);
    const used = cpuMicroseconds(contender.pid) - before;
    if (name === OURS) sentThroughOurs += messages + CONNECTIONS * batch;
    return used / messages;
  };

  // A gateway runs for weeks: what is asked about is the cost after its code was compiled and its heap has grown, which
  // takes Node about half a million messages.
  for (let times = 0; times < warmUpRounds; times += 1) {
    for (const name of names) await perMessage(name, batchedPerRound, BATCH);
  }
  const batched = await interleave(names, rounds, (name) =>
    perMessage(name, batchedPerRound, BATCH),
  );
  const single = await interleave(names, rounds, (name) => perMessage(name, singlePerRound, 1));

  await waitFor(
    async () => {
      const counted = await countedMessages(contenders.logFile);
      return counted[0] === sentThroughOurs && counted[1] === sentThroughOurs;
    },
    {
      what: `our log to count ${sentThroughOurs} messages each way`,
      everyMs: 100,
      deadlineMs: 15_000,
    },
  );
  console.log(`Ours counted all ${sentThroughOurs} messages, each way.`);

  const costs = (values: ReadonlyMap<string, readonly number[]>) => (name: string) =>
    rounded(median(values.get(name) ?? []));
  const cost = costs(batched);
  const singleCost = costs(single);
  const others = names.filter((name) => name !== OURS);
  const of = (value: (name: string) => number) =>
    Object.fromEntries(others.map((name) => [name, value(name)]));
  const ratio = of((name) => rounded(cost(OURS) / cost(name)));

  console.log(
    `CPU per round trip, µs (median of ${rounds} rounds): batches of ${BATCH}, one at a time`,
  );
  for (const name of names) {
    const all = (batched.get(name) ?? []).map((value) => value.toFixed(2)).join(" ");
    console.log(
      `  ${name.padEnd(15)} ${cost(name).toFixed(2).padStart(6)} ${singleCost(name).toFixed(1).padStart(6)}   (${all})`,
    );
  }
  console.log(describeBars(BARS, ratio));
  printResult({
    question: "socket-relay",
    ours: cost(OURS),
    peers: of(cost),
    ratio,
    unit: "µs CPU per round trip",
    checked: true,
    machine: describeMachine(cores.isPinned),
    versions: {
      node: process.versions.node,
      haproxy: programVersion("haproxy", "-v"),
      ws: packageVersion("ws"),
      "http-proxy": packageVersion("http-proxy"),
    },
    oneAtATime: {
      ours: singleCost(OURS),
      peers: of(singleCost),
      ratio: of((name) => rounded(singleCost(OURS) / singleCost(name))),
    },
  });
}

function rounded(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
