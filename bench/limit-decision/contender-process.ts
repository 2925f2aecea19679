// One contender in a process of its own, so that no other's types and garbage count against it. Runs rounds when told.
//   node contender-process.ts <contender> <limit> <keys> [still]
// `still`: the clocks stand still for everybody, and cost nothing: what the decision alone costs.

import assert from "node:assert/strict";

const [name = "", limit = "", keyCount = "", clock = ""] = process.argv.slice(2);
if (clock === "still") {
  const [monotonicMs, wallMs] = [performance.now(), Date.now()];
  performance.now = () => monotonicMs;
  Date.now = () => wallMs;
}
const { CONTENDERS } = await import("./contenders.ts");
const keys = Array.from({ length: Number(keyCount) }, (_, index) => `user:${index}`);
// Room for as many as ours has unless told otherwise.
const MAX_KEYS = 131_072;
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
