import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { missingProgram, startProcess } from "@tidegate/testkit";

const skip = missingProgram("haproxy") || missingProgram("nginx");

test(
  "http-forward: all contenders answer alike, refuse what they claim to, and log",
  { skip },
  async () => {
    await using bench = await startProcess({
      args: [join(import.meta.dirname, "main.ts"), "--check"],
    });
    const { code } = await bench.exited({ deadlineMs: 60_000 });
    assert.equal(code, 0, bench.output());
    assert.match(bench.stdout(), /^All 9 answer alike/m);
  },
);
