// One contender in a process of its own, so that no other's types and garbage count against it. Runs rounds when told.
//   node contender-process.ts <contender> <limit> <keys> [own | still] [turn | zipf | random]
// In turn, or drawn: each as often as any other (`random`), or by Zipf's law with 0.99, a million draws of the same seed for all.
// `still`: the clocks stand still for everybody, and cost nothing: what the decision alone costs.

import assert from "node:assert/strict";

const [name = "", limit = "", keyCount = "", clock = "", order = "turn"] = process.argv.slice(2);
if (clock === "still") {
  const [monotonicMs, wallMs] = [performance.now(), Date.now()];
  performance.now = () => monotonicMs;
  Date.now = () => wallMs;
}
const { CONTENDERS } = await import("./contenders.ts");
const keys = inOrder(Array.from({ length: Number(keyCount) }, (_, index) => `user:${index}`));
// Room for as many as ours has unless told otherwise.
const MAX_KEYS = Math.max(131_072, Number(keyCount));
const contender = CONTENDERS[name]?.(Number(limit), MAX_KEYS);
assert(contender !== undefined, `no contender ${name}`);

process.on("message", (calls: number) => {
  void (async () => {
    const before = process.cpuUsage();
    await contender.run(keys, calls);
    const { user, system } = process.cpuUsage(before);
    process.send!((user + system) / calls);
  })();
});

function inOrder(all: readonly string[]): readonly string[] {
  if (order === "turn") return all;
  let state = 1;
  const unit = (): number => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b_3c6d) + 0x9e37_79b9;
    return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32;
  };
  // Neighbours in memory are not neighbours in rank.
  const ranked = [...all];
  for (let at = ranked.length - 1; at > 0; at--) {
    const other = Math.floor(unit() * (at + 1));
    [ranked[at], ranked[other]] = [ranked[other]!, ranked[at]!];
  }
  const bounds = new Float64Array(all.length);
  let sum = 0;
  for (let rank = 0; rank < all.length; rank++)
    bounds[rank] = sum += order === "zipf" ? 1 / (rank + 1) ** 0.99 : 1;
  return Array.from({ length: 1_000_000 }, () => {
    const drawn = unit() * sum;
    let low = 0;
    let high = all.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (bounds[middle]! < drawn) low = middle + 1;
      else high = middle;
    }
    return ranked[low]!;
  });
}
