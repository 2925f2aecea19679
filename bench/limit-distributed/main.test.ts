import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { startProcess } from "@tidegate/testkit";

test("limit-distributed: two nodes of ours never admit more than the limit", async () => {
  await using bench = await startProcess({
    args: [join(import.meta.dirname, "main.ts"), "--check"],
  });
  const { code } = await bench.exited({ deadlineMs: 60_000 });
  assert.equal(code, 0, bench.output());
  assert.match(bench.stdout(), /^Two nodes of ours never admit more/m);
});
