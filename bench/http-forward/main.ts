// What does a small request cost on its way through? `README.md` has the answer.

import { issuer, tempFolder, waitFor } from "@tidegate/testkit";
import { describeBars, type Bar } from "../harness/bar.ts";
import type { Contender } from "../harness/contender.ts";
import { cpuMicroseconds } from "../harness/cpu-time.ts";
import { openHttpLoader } from "../harness/http-load.ts";
import { interleave } from "../harness/interleave.ts";
import { describeMachine, packageVersion, programVersion } from "../harness/machine.ts";
import { measureOpenLoop } from "../harness/open-loop.ts";
import { readOptions } from "../harness/options.ts";
import { median } from "../harness/percentile.ts";
import { chooseCores, pinSelf } from "../harness/pinning.ts";
import { printResult } from "../harness/result.ts";
import { BODY } from "../harness/upstream-body.ts";
import { startLeanUpstream } from "../harness/upstream-process.ts";
import { checkContenders, requestLines } from "./check.ts";
import { OURS, OURS_WITHOUT_MEMORY, startContenders } from "./contenders.ts";
import { getRequest } from "./requests.ts";

const BARS: readonly Bar[] = [
  { peer: "http-proxy", atMost: 0.4 },
  { peer: "undici-proxy", atMost: 1 },
  { peer: "haproxy-limit-rs256", atMost: 1 },
  { peer: "haproxy-limit", atMost: 3 },
];
const CONNECTIONS = 32;
// Compiled long ago: they only have to open their connections.
const COMPILED = new Set(["haproxy-limit", "haproxy-limit-rs256", "nginx-limit"]);
const NATIVE_WARM_UP_REQUESTS = 2_000;

const { isQuick, isCheckOnly } = readOptions(process.argv.slice(2));
const requestsPerRound = isQuick ? 5_000 : 20_000;
const rounds = isQuick ? 3 : 7;
// Every token is used once, so none is remembered. Making one costs more than checking one, hence fewer.
const unseenPerRound = isQuick ? 1_000 : 2_000;
// Node goes on compiling what is hot until some 40,000 requests have passed; at first it costs half as much again.
// The same for a quick run, or it would measure the compiler, and ours has more to compile than any peer.
const warmUpRequests = 60_000;

const cores = chooseCores();
if (cores.isPinned) pinSelf(cores.generator);
await using folder = await tempFolder();
await using provider = await issuer({ algorithms: ["RS256"] });
await using upstream = await startLeanUpstream(cores);
// Longer than any run; shorter than what the gateway believes.
const lifetime = { exp: Math.floor(Date.now() / 1_000) + 3_600 };
const token = await provider.mint(lifetime);
const request = getRequest("/bench", token);
await using contenders = await startContenders({
  folder,
  cores,
  upstreamPort: upstream.port,
  issuer: provider,
  probe: request,
});
await checkContenders(contenders, token);
console.log(`All ${contenders.all.length} answer alike, refuse what they claim to, and log.`);
if (!isCheckOnly) await measure();

async function measure(): Promise<void> {
  const names = contenders.all.map((contender) => contender.name);
  const byName = new Map(contenders.all.map((contender) => [contender.name, contender]));
  const find = (name: string): Contender => {
    const found = byName.get(name);
    if (found === undefined) throw new Error(`Cannot find ${name}`);
    return found;
  };
  console.log(`Making ${unseenPerRound * rounds} tokens that nobody has seen …`);
  const unseen: Buffer[] = [];
  for (let count = 0; count < unseenPerRound * rounds; count += 1) {
    unseen.push(getRequest("/bench", await provider.mint({ ...lifetime, sub: `person-${count}` })));
  }
  let unseenUsed = 0;

  let isMeasured = false;
  const perCall = async (name: string, count: number): Promise<number> => {
    const { port, pid } = find(name);
    const isUnseen = name === OURS_WITHOUT_MEMORY && isMeasured;
    await using loader = await openHttpLoader({
      port,
      connections: CONNECTIONS,
      request: isUnseen ? () => unseen[unseenUsed++] ?? request : () => request,
      expectedBody: BODY,
    });
    const before = cpuMicroseconds(pid);
    await loader.run(count);
    return (cpuMicroseconds(pid) - before) / count;
  };

  for (const name of names) {
    await perCall(name, COMPILED.has(name) ? NATIVE_WARM_UP_REQUESTS : warmUpRequests);
  }
  isMeasured = true;
  const costs = await interleave(names, rounds, (name) =>
    perCall(name, name === OURS_WITHOUT_MEMORY ? unseenPerRound : requestsPerRound),
  );
  const cost = (name: string): number => round(median(costs.get(name) ?? []));

  const logged = await waitFor(
    async () => {
      const lines = await requestLines(contenders.logFile);
      return lines >= warmUpRequests + rounds * requestsPerRound && lines;
    },
    { what: "the last lines of the access log", deadlineMs: 10_000, everyMs: 200 },
  );

  const peers: Record<string, number> = {};
  const ratio: Record<string, number> = {};
  for (const name of names.filter((one) => one !== OURS && one !== OURS_WITHOUT_MEMORY)) {
    peers[name] = cost(name);
    ratio[name] = round(cost(OURS) / cost(name));
  }
  const latencyMs: Record<string, unknown> = {};
  for (const name of [OURS, "haproxy-limit-rs256", "http-proxy"]) {
    latencyMs[name] = await measureOpenLoop({
      port: find(name).port,
      perSecond: 1_000,
      seconds: isQuick ? 2 : 5,
      connections: 64,
      request,
      expectedBody: BODY,
    });
  }

  console.log(`CPU per call, µs (median of ${rounds} rounds of ${requestsPerRound}):`);
  for (const name of names) {
    const all = (costs.get(name) ?? []).map((value) => value.toFixed(1)).join(" ");
    console.log(`  ${name.padEnd(22)} ${cost(name).toFixed(1).padStart(7)}   (${all})`);
  }
  console.log(`Lines in our access log: ${logged}`);
  console.log(describeBars(BARS, ratio));
  printResult({
    question: "http-forward",
    ours: cost(OURS),
    peers,
    ratio,
    unit: "µs CPU per call",
    checked: true,
    machine: describeMachine(cores.isPinned),
    versions: {
      node: process.versions.node,
      haproxy: programVersion("haproxy", "-v"),
      nginx: programVersion("nginx", "-v"),
      "http-proxy": packageVersion("http-proxy"),
      undici: packageVersion("undici"),
      "fast-gateway": packageVersion("fast-gateway"),
      "@fastify/http-proxy": packageVersion("@fastify/http-proxy"),
    },
    oursWithMemoryOff: cost(OURS_WITHOUT_MEMORY),
    latencyMs,
  });
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
