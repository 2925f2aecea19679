import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { waitFor } from "@tidegate/testkit";
import { createHashingPool } from "./hashing-pool.ts";

describe("hashing pool", () => {
  test("run() starts two, queues thirty-two, and refuses the next without starting it", async () => {
    const pool = createHashingPool();
    const ends: (() => void)[] = [];
    let started = 0;
    const task = async () => {
      started++;
      await new Promise<void>((resolve) => ends.push(resolve));
    };
    const runs = Array.from({ length: 34 }, () => pool.run(task));
    assert.ok(runs.every((run) => run !== undefined));
    assert.equal(pool.run(task), undefined);
    assert.equal(started, 2);
    assert.deepEqual([pool.inFlight, pool.queued], [2, 32]);

    // Never more than two at once, and all of them in the end.
    for (let ended = 0; ended < 34; ended++) {
      await waitFor(() => ends.length > 0, { what: "a task to begin" });
      assert.ok(pool.inFlight <= 2);
      ends.shift()?.();
    }
    await Promise.all(runs);
    assert.equal(started, 34);
    assert.deepEqual([pool.inFlight, pool.queued], [0, 0]);
  });

  test("run() never has three at once, even when one comes just as another ends", async () => {
    const pool = createHashingPool();
    let running = 0;
    let most = 0;
    const task = async () => {
      most = Math.max(most, ++running);
      await Promise.resolve();
      running--;
    };
    const latecomers: (Promise<void> | undefined)[] = [];
    const first = Array.from({ length: 10 }, () =>
      pool.run(task)?.finally(() => latecomers.push(pool.run(task))),
    );
    await Promise.all(first.map((run) => run ?? assert.fail("refused")));
    await Promise.all(latecomers.filter((run) => run !== undefined));
    assert.equal(most, 2);
  });

  test("run() goes on after a task that failed", async () => {
    const pool = createHashingPool({ maxInFlight: 1, maxQueued: 1 });
    const failing = pool.run(() => Promise.reject(new Error("no memory")));
    const next = pool.run(() => Promise.resolve("done"));
    await assert.rejects(failing ?? Promise.resolve(), /no memory/);
    assert.equal(await next, "done");
  });
});
