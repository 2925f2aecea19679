import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { startProcess } from "@tidegate/testkit";

test("limit-decision: all contenders admit the same number", async () => {
  await using bench = await startProcess({
    args: [join(import.meta.dirname, "main.ts"), "--check"],
  });
  const { code } = await bench.exited({ deadlineMs: 60_000 });
  assert.equal(code, 0, bench.output());
  assert.match(bench.stdout(), /^All 9 admit the same number/m);
});
