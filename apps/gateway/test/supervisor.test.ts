import assert from "node:assert/strict";
import type { Worker } from "node:worker_threads";
import { describe, test } from "node:test";
import { systemClock, systemRandom, type Clock } from "@tidegate/clock";
import { tempFolder, waitFor } from "@tidegate/testkit";
import { validateConfig } from "../src/config/load-config.ts";
import { openLogDestination } from "../src/record/log-destination.ts";
import { createLogger } from "../src/record/logger.ts";
import { DataThreads } from "../src/worker/data-threads.ts";
import { Supervisor } from "../src/worker/supervisor.ts";
import { fastClock } from "./http-harness.ts";

/** A supervisor of one worker that runs `entry`, with its log in a folder of its own. */
async function superviseOne(
  entry: string,
  {
    dataThreads = new DataThreads(),
    ...options
  }: {
    clock?: Clock;
    observeThread?: (thread: Worker) => void;
    dataThreads?: DataThreads;
  } = {},
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
      passwordIssuers: {},
      dataThreads,
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

  test("tell() ends a worker that does not acknowledge, or cannot do as told, before it resolves", async () => {
    for (const kind of ["ignore", "fail", "unheard-of"]) {
      const threads: Worker[] = [];
      const dataThreads = new DataThreads();
      dataThreads.answer("early", () => undefined);
      dataThreads.answer("heard", () => undefined);
      await using parts = await superviseOne("./told-worker.ts", {
        observeThread: (thread) => void threads.push(thread),
        dataThreads,
      });
      await parts.supervisor.start();
      await dataThreads.tell("heed", "something", 1_000);
      assert.equal(threads.length, 1, "who acknowledges goes on");
      let hasExited = false;
      threads[0]?.once("exit", () => (hasExited = true));
      await dataThreads.tell(kind, undefined, 200);
      assert.ok(hasExited, kind);
      await waitFor(() => threads.length > 1, { what: "another worker", deadlineMs: 10_000 });
    }
  });

  test("tell() reaches a worker that is still starting before it may serve, without waiting for it", async () => {
    const dataThreads = new DataThreads();
    const { promise: told, resolve } = Promise.withResolvers<void>();
    let heard: unknown;
    dataThreads.answer("early", async () => {
      await dataThreads.tell("ignore", undefined, 60_000);
      await dataThreads.tell("heed", "before you serve", 60_000);
      resolve();
    });
    dataThreads.answer("heard", (payload) => void (heard = payload));
    await using parts = await superviseOne("./told-worker.ts", { dataThreads });
    await parts.supervisor.start();
    await told;
    assert.deepEqual(heard, ["before you serve"]);
  });
});
