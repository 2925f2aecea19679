// Prints how many bytes of resident memory one contender takes per key. A process of its own, so that nothing else grows.
//   node --expose-gc memory.ts <contender> <keys>

import { CONTENDERS } from "./contenders.ts";

const [name = "", count = "0"] = process.argv.slice(2);
const keys = Array.from({ length: Number(count) }, (_, index) => `user:${index}`);
// Ours keeps no more texts than it remembers, the others keep all: the texts themselves are there before.
const contender = CONTENDERS[name]!(10, keys.length);
await contender.run(keys.slice(0, 100), 1_000);
globalThis.gc!();
const before = process.memoryUsage().rss;
await contender.run(keys, keys.length);
globalThis.gc!();
globalThis.gc!();
process.stdout.write(String((process.memoryUsage().rss - before) / keys.length));
process.exit(0);
