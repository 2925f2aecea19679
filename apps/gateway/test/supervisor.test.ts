import assert from "node:assert/strict";
import type { Worker } from "node:worker_threads";
import { describe, test } from "node:test";
import { systemClock, systemRandom, type Clock } from "@tidegate/clock";
import { tempFolder, waitFor } from "@tidegate/testkit";
import { validateConfig } from "../src/config/load-config.ts";
import { openLogDestination } from "../src/record/log-destination.ts";
import { createLogger } from "../src/record/logger.ts";
import { Supervisor } from "../src/worker/supervisor.ts";
import { fastClock } from "./http-harness.ts";

/** A supervisor of one worker that runs `entry`, with its log in a folder of its own. */
async function superviseOne(
  entry: string,
  options: { clock?: Clock; observeThread?: (thread: Worker) => void } = {},
): Promise<{ supervisor: Supervisor } & AsyncDisposable> {
  await using parts = new AsyncDisposableStack();
  const folder = parts.use(await tempFolder());
  const { config } = validateConfig(
    {
      dataFolder: folder.file("data"),
      upstreams: { service: { targets: ["http://127.0.0.1:1"] } },
      routes: [{ path: "/**", to: "service", auth: "none" }],
    },
    { folder: folder.path },
  );
  const log = parts.use(
    createLogger({
      level: "error",
      destination: openLogDestination(folder.file("log")),
      maxBufferedBytes: 65_536,
      clock: systemClock,
    }),
  );
  const supervisor = parts.use(
    new Supervisor({
      config,
      workers: 1,
      port: 0,
      viaName: "test",
      passwords: new Map(),
      log,
      limitSnapshot: undefined,
      clock: systemClock,
      random: systemRandom,
      entry: new URL(entry, import.meta.url),
      ...options,
    }),
  );
  const owned = parts.move();
  return { supervisor, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

describe("Supervisor", () => {
  test("ends a worker whose event loop stands still, and starts another", async () => {
    const threads: Worker[] = [];
    await using parts = await superviseOne("./stuck-worker.ts", {
      clock: fastClock(50),
      observeThread: (thread) => void threads.push(thread),
    });
    await parts.supervisor.start();
    assert.equal(threads.length, 1);
    await waitFor(() => threads.length > 1, { what: "another worker", deadlineMs: 10_000 });
  });

  test("start() fails when a worker cannot start", async () => {
    await using parts = await superviseOne("./no-such-worker.ts");
    await assert.rejects(parts.supervisor.start(), /no-such-worker/);
  });
});
