// Prints how many bytes of resident memory one contender takes per key. A process of its own, so that nothing else grows.
//   node --expose-gc memory.ts <contender> <keys>

import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import { openForMemory } from "./memory-contenders.ts";

const [name = "", count = "0"] = process.argv.slice(2);
// The texts themselves are there before; ours keeps few of them, the others all.
const keys = Array.from({ length: Number(count) }, (_, index) => `user:${index}`);
const contender = openForMemory(name, keys.length);
// The first quarter only warms up: code, compiler and young heap grow once per process, not per key.
const warm = keys.splice(0, keys.length / 4);
assert.equal(await contender.run(warm, warm.length), warm.length);
await collect();
const before = process.memoryUsage().rss;
assert.equal(await contender.run(keys, keys.length), keys.length);
await collect();
process.stdout.write(String((process.memoryUsage().rss - before) / keys.length));
assert.equal(await contender.run([warm[0]!], 1), 1);
process.exit(0);

async function collect(): Promise<void> {
  for (let round = 0; round < 3; round++) {
    globalThis.gc!();
    // The runtime gives pages back in the background; for every contender the same time.
    await setTimeout(300);
  }
}
