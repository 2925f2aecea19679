import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { fuzzHttp } from "./http-fuzz.ts";

// What is not collected yet is no growth, and the engine collects seldom by itself.
setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

const SEEDS = 10;
const ROUNDS = 960;

test("bad bytes from both sides, for longer: no hang, no crash, no growth", async (t) => {
  const first = randomInt(2 ** 31);
  const heap: number[] = [];
  for (let seed = first; seed < first + SEEDS; seed++) {
    const result = await fuzzHttp({ seed, threads: 0, rounds: ROUNDS });
    collectGarbage();
    heap.push(process.memoryUsage().heapUsed);
    t.diagnostic(`seed ${seed}: ${result.answered} answered, ${result.reachedUpstream} forwarded`);
  }
  // The first runs compile and fill memories; afterwards nothing may pile up.
  const middle = heap[Math.floor(SEEDS / 2)] as number;
  assert.ok((heap.at(-1) as number) < middle * 1.5 + 20_000_000, `heap went ${heap.join(", ")}`);
});
