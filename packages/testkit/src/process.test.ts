import assert from "node:assert/strict";
import { test } from "node:test";
import { startProcess } from "./process.ts";

test("startProcess() waits for readiness, passes only the named environment and stops by signal", async () => {
  await using running = await startProcess({
    args: [
      "-e",
      "console.log('up', process.env.GIVEN, process.env.NODE_TEST_CONTEXT); setInterval(() => {}, 1e6)",
    ],
    env: { GIVEN: "yes" },
    readyWhen: "up",
  });
  assert.equal(running.stdout(), "up yes undefined\n");
  assert.equal(running.exit(), undefined);
  assert.deepEqual(await running.stop(), { code: null, signal: "SIGTERM" });
});

test("startProcess() fails with the output of a process that ends before it is ready", async () => {
  await assert.rejects(
    startProcess({ args: ["-e", "console.error('no luck'); process.exit(3)"], readyWhen: "up" }),
    /ended \(code 3, signal null\) before it printed up[^]*no luck/,
  );
});

test("startProcess() fails at once when there is no such program", async () => {
  await assert.rejects(
    startProcess({ command: "/no/such/program", args: [], readyWhen: "up" }),
    /ENOENT/,
  );
});

test("startProcess() kills what still runs when its scope ends", async () => {
  let pid = 0;
  {
    await using running = await startProcess({
      args: [
        "-e",
        "process.on('SIGTERM', () => {}); console.log('up'); setInterval(() => {}, 1e6)",
      ],
      readyWhen: "up",
    });
    pid = running.pid;
  }
  assert.throws(() => process.kill(pid, 0), { code: "ESRCH" });
});
