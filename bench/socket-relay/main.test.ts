import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { missingProgram, startProcess } from "@tidegate/testkit";

const skip = missingProgram("haproxy");

test(
  "socket-relay: all contenders give back what they got, and ours refuses over a limit",
  { skip },
  async () => {
    await using bench = await startProcess({
      args: [join(import.meta.dirname, "main.ts"), "--check"],
    });
    const { code } = await bench.exited({ deadlineMs: 60_000 });
    assert.equal(code, 0, bench.output());
    assert.match(bench.stdout(), /^All 5 give back/m);
  },
);
