import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { systemClock } from "@tidegate/clock";
import { startRedis, waitFor, type Redis } from "@tidegate/testkit";
import type { LimitDefinition } from "../src/limit-definition.ts";
import { createSharedReservation, SHARED_OUTCOME } from "../src/redis/index.ts";
import { callerOf, openNode } from "./limiter-nodes.ts";

const { admitted, refused } = SHARED_OUTCOME;
const window = (limit: number, seconds = 60, name = "w"): LimitDefinition =>
  ({ kind: "window", name, limit, seconds }) as const;
const bucket = (count: number, burst: number, name = "b"): LimitDefinition =>
  ({ kind: "bucket", name, count, seconds: 1, burst }) as const;

let redis: Redis;
before(async () => void (redis = await startRedis()));
after(() => redis[Symbol.asyncDispose]());

const until = (condition: () => boolean, what: string) =>
  waitFor(condition, { what, deadlineMs: 5_000 });

describe("a reservation of shared limits", () => {
  test("is settled by what each position used, shared and local ones alike", async () => {
    const definitions = [window(10, 60, "shared"), window(10, 60, "local"), bucket(1, 10)];
    await using node = await openNode(redis.url, definitions, { local: [1] });
    const caller = callerOf(node, "ada", [0, 1, 2]);
    const reservation = createSharedReservation();
    assert.equal(await caller.reserve(reservation, 8, 9, 10), admitted);
    const nowMs = systemClock.monotonicMs();
    node.settle(reservation, nowMs, Int32Array.of(3, 4, 10));
    node.settle(reservation, nowMs, Int32Array.of(0, 0, 0));
    assert.equal(await caller.acquire(8, 0, 0), refused);
    assert.equal(await caller.acquire(7, 0, 0), admitted);
    assert.equal(await caller.acquire(0, 7, 0), refused);
    assert.equal(await caller.acquire(0, 6, 0), admitted);
    assert.equal(await caller.acquire(0, 0, 3), refused);
  });

  test("that used more than was reserved takes what is there and counts the rest", async () => {
    await using node = await openNode(redis.url, [window(10)]);
    const caller = callerOf(node, "ada");
    const reservation = createSharedReservation();
    assert.equal(await caller.reserve(reservation, 4), admitted);
    node.settle(reservation, systemClock.monotonicMs(), Int32Array.of(7));
    await until(() => node.statistics().store.asked >= 2, "the units above");
    assert.equal(await caller.acquire(4), refused);
    assert.equal(await caller.acquire(3), admitted);
    const more = createSharedReservation();
    assert.equal(await callerOf(node, "bea").reserve(more, 9), admitted);
    node.settle(more, systemClock.monotonicMs(), Int32Array.of(12));
    await until(() => node.statistics().overrun > 0, "the overrun");
    assert.equal(node.statistics().overrun, 2);
    assert.equal(await callerOf(node, "bea").acquire(1), refused);
  });
});
