// What does a token cost that was verified before? `README.md` has the answer.

import { createHash } from "node:crypto";
import {
  createAccessTokenVerifier,
  parseToken,
  tokenFingerprint,
  type AccessTokenVerifier,
  type Principal,
} from "@tidegate/auth";
import { systemClock } from "@tidegate/clock";
import { issuer } from "@tidegate/testkit";
import { interleave } from "../harness/interleave.ts";
import { describeMachine, packageVersion } from "../harness/machine.ts";
import { readOptions } from "../harness/options.ts";
import { median } from "../harness/percentile.ts";
import { printResult } from "../harness/result.ts";

type Ask = (text: string) => Principal | undefined | Promise<Principal | undefined>;

const OURS = "tidegate";
const TOKENS = 1_000;
const { isQuick, isCheckOnly } = readOptions(process.argv.slice(2));
const rounds = isQuick ? 3 : 7;
const callsPerRound = { fast: isQuick ? 50_000 : 200_000, slow: 2_000 };

await using provider = await issuer({ algorithms: ["RS256"] });
using verifier: AccessTokenVerifier = createAccessTokenVerifier({
  issuer: provider.url,
  audience: "https://api.test",
  algorithms: ["RS256"],
  tokenTypes: ["at+jwt"],
  clockToleranceSeconds: 5,
  maxTokenLifetimeSeconds: 3_600,
  maxKeyAgeMs: 3_600_000,
  clock: systemClock,
});
const texts: string[] = [];
for (let count = 0; count < TOKENS; count += 1) {
  texts.push(await provider.mint({ sub: `person-${count}`, scope: "tasks:read tasks:write" }));
}
// A connection delivers bytes: every call has a string of its own, whose hash nobody has computed.
const wires = texts.map((text) => Buffer.from(text, "latin1"));
const never = new AbortController().signal;

const verify: Ask = async (text) => {
  const parts = parseToken(text);
  if (parts === undefined) return undefined;
  const result = await verifier.verify({ text, parts, fingerprint: tokenFingerprint(text) }, never);
  return result.outcome === "accepted" ? result.principal : undefined;
};
const byText = new Map<string, Principal>();
for (const text of texts) {
  const principal = await verify(text);
  if (principal === undefined) throw new Error("Cannot begin: a good token was refused");
  byText.set(text, principal);
}
const contenders: Readonly<Record<string, Ask>> = {
  [OURS]: (text) => verifier.recall(tokenFingerprint(text))?.principal,
  "text-as-key": (text) => byText.get(text),
  "verify-each-time": verify,
};

await checkContenders();
console.log("All 3 know the same people, and nobody by a forged token.");
if (!isCheckOnly) await measure();

async function checkContenders(): Promise<void> {
  for (const [name, ask] of Object.entries(contenders)) {
    const digest = createHash("sha256");
    for (const wire of wires) digest.update(`${(await ask(wire.toString("latin1")))?.subject} `);
    const expected = createHash("sha256");
    for (let count = 0; count < TOKENS; count += 1) expected.update(`person-${count} `);
    if (digest.digest("hex") !== expected.digest("hex")) throw new Error(`${name} knows others`);
    const forged = `${texts[0]?.slice(0, -8)}AAAAAAAA`;
    if ((await ask(forged)) !== undefined) throw new Error(`${name} accepts a forged token`);
  }
}

async function measure(): Promise<void> {
  const perCall = async (name: string): Promise<number> => {
    const ask = contenders[name];
    const isSlow = name === "verify-each-time";
    const calls = isSlow ? callsPerRound.slow : callsPerRound.fast;
    const before = process.cpuUsage();
    let known = 0;
    for (let call = 0; call < calls; call += 1) {
      const text = wires[call % TOKENS]?.toString("latin1") ?? "";
      const answer = ask === undefined ? text : ask(text);
      if ((answer instanceof Promise ? await answer : answer) !== undefined) known += 1;
    }
    const { user, system } = process.cpuUsage(before);
    if (known !== calls) throw new Error(`${name} lost ${calls - known} of ${calls}`);
    return (user + system) / calls;
  };
  const STRING = "the string alone";
  const names = [...Object.keys(contenders), STRING];
  for (const name of names) await perCall(name); // warm up
  const values = await interleave(names, rounds, perCall);
  const of = (name: string) => median(values.get(name) ?? []);
  const cost = (name: string) => Math.round((of(name) - of(STRING)) * 1_000) / 1_000;
  const ours = cost(OURS);
  const peers = Object.fromEntries(
    Object.keys(contenders)
      .filter((name) => name !== OURS)
      .map((name) => [name, cost(name)]),
  );
  for (const [name, value] of Object.entries({ [OURS]: ours, ...peers })) {
    console.log(`${name.padEnd(18)} ${value.toFixed(3)} µs`);
  }
  printResult({
    question: "token-memory",
    ours,
    peers,
    ratio: Object.fromEntries(Object.entries(peers).map(([name, value]) => [name, ours / value])),
    unit: "µs CPU per call",
    checked: true,
    machine: describeMachine(false),
    versions: { node: process.versions.node, jose: packageVersion("jose") },
  });
}
