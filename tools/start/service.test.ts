import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { test } from "node:test";
import { systemClock } from "@tidegate/clock";
import { startRawServer, tempFolder, waitFor } from "@tidegate/testkit";
import { openLogFile } from "./log-file.ts";
import { startService, type Service } from "./service.ts";

// Answers /readyz, stops at SIGTERM and when the channel to its parent closes, crashes when asked.
const SERVER = `
  const { createServer } = require("node:http");
  const stop = () => process.exit(0);
  process.on("SIGTERM", process.env.STUBBORN ? () => {} : stop);
  process.on("disconnect", stop);
  console.log("hello from", process.pid);
  createServer((request, response) => {
    if (request.url === "/crash") process.exit(7);
    response.end("ok");
  }).listen(Number(process.env.PORT), "127.0.0.1");`;

interface Running extends AsyncDisposable {
  readonly service: Service;
  readonly told: string[];
  readonly url: string;
}

async function run(
  options: { script?: string; env?: Record<string, string> } = {},
): Promise<Running> {
  const folder = await tempFolder();
  const server = await startRawServer();
  const { port, url } = server;
  await server[Symbol.asyncDispose]();
  writeFileSync(folder.file("server.cjs"), options.script ?? SERVER);
  const log = openLogFile(folder.file("server.log"));
  const told: string[] = [];
  const service = startService(
    {
      name: "sample",
      args: [folder.file("server.cjs")],
      env: { PORT: String(port), ...options.env },
      readyUrl: `${url}/readyz`,
    },
    { log, clock: systemClock, tell: (line) => void told.push(line) },
  );
  return {
    service,
    told,
    url,
    async [Symbol.asyncDispose]() {
      service.kill();
      await service.stop();
      log[Symbol.dispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

test("startService() is ready when the service says so, and stop() ends it", async () => {
  await using running = await run();
  await running.service.ready;
  const pid = running.service.pid();
  assert.ok(pid);
  await running.service.stop();
  assert.throws(() => process.kill(pid, 0), { code: "ESRCH" });
  assert.deepEqual(running.told, []);
});

test("startService() starts a crashed service again and says so", async () => {
  await using running = await run();
  await running.service.ready;
  const before = running.service.pid();
  await assert.rejects(fetch(`${running.url}/crash`));
  await waitFor(() => running.told.includes("sample is back"), { what: "the service to be back" });
  assert.match(running.told[0] ?? "", /^sample ended \(exit code 7\); starting it again in 200 ms/);
  assert.notEqual(running.service.pid(), before);
});

test("startService() fails with the end of the log when the first start fails", async () => {
  await using running = await run({
    script: `console.error("Cannot read the moon"); process.exit(3)`,
  });
  await assert.rejects(
    running.service.ready,
    /sample ended \(exit code 3\)[^]*Cannot read the moon/,
  );
});

test("startService() stops in the middle of a back-off", async () => {
  await using running = await run();
  await running.service.ready;
  await assert.rejects(fetch(`${running.url}/crash`));
  await waitFor(() => running.told.length === 1, { what: "the crash to be noticed" });
  await running.service.stop();
  assert.equal(running.service.pid(), undefined);
});

test("kill() ends a service that ignores being asked", async () => {
  await using running = await run({ env: { STUBBORN: "1" } });
  await running.service.ready;
  const stopped = running.service.stop();
  running.service.kill();
  await stopped;
  assert.equal(running.service.pid(), undefined);
});
