import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { systemClock } from "@tidegate/clock";
import { startRedis, waitFor, type Redis } from "@tidegate/testkit";
import * as fc from "fast-check";
import type { LimitDefinition } from "../src/limit-definition.ts";
import { createSharedReservation, SHARED_OUTCOME } from "../src/redis/index.ts";
import type { LimitAsk } from "../src/redis/limit-store.ts";
import { toSharedPlan } from "../src/redis/shared-plan.ts";
import { callerOf, openNode } from "./limiter-nodes.ts";
import { askFor, openScriptRunner } from "./redis-script-runner.ts";

// Slots that several nodes hold together: never more than the limit, and none lost with a dead node.

const { admitted, refused, impossible } = SHARED_OUTCOME;
const slots = (limit: number, expireSeconds = 60): LimitDefinition =>
  ({ kind: "concurrency", name: "in-flight", limit, expireSeconds }) as const;
const window: LimitDefinition = { kind: "window", name: "w", limit: 3, seconds: 600 };

let redis: Redis;
before(async () => void (redis = await startRedis()));
after(() => redis[Symbol.asyncDispose]());

async function openTwo(prefix: string, ...definitions: LimitDefinition[]) {
  const one = await openNode(redis.url, definitions, { prefix });
  const other = await openNode(redis.url, definitions, { prefix });
  const limits = definitions.map((_, at) => at);
  return {
    one,
    other,
    ada: callerOf(
      one,
      definitions.map(() => "ada"),
      limits,
    ),
    there: callerOf(
      other,
      definitions.map(() => "ada"),
      limits,
    ),
    async [Symbol.asyncDispose]() {
      await one[Symbol.asyncDispose]();
      await other[Symbol.asyncDispose]();
    },
  };
}

describe("slots that two nodes share", () => {
  test("are never more than the limit, whoever asks at once; what finishes on one node is free for the other", async () => {
    await using nodes = await openTwo("race", slots(5));
    const { one, ada, there } = nodes;
    const held = Array.from({ length: 60 }, () => createSharedReservation());
    const outcomes = await Promise.all(
      held.map((reservation, at) => (at % 2 === 0 ? ada : there).reserve(reservation, 1)),
    );
    assert.equal(outcomes.filter((outcome) => outcome === admitted).length, 5);
    assert.ok(outcomes.every((outcome) => outcome === admitted || outcome === refused));
    assert.equal(await there.acquire(6), impossible);
    const mine = held.find((_, at) => at % 2 === 0 && outcomes[at] === admitted);
    const its = held.find((_, at) => at % 2 === 1 && outcomes[at] === admitted);
    const [holder, waiting, node] =
      mine === undefined ? [its!, ada, nodes.other] : [mine, there, one];
    assert.equal(node.renew(holder, systemClock.monotonicMs()), true);
    node.finish(holder, systemClock.monotonicMs());
    node.finish(holder, systemClock.monotonicMs());
    await node.handBack();
    const next = createSharedReservation();
    await waitFor(async () => (await waiting.reserve(next, 1)) === admitted, {
      what: "the slot that came free",
      deadlineMs: 5_000,
    });
    assert.equal(await there.reserve(createSharedReservation(), 1), refused);
  });

  test("are charged with the other limits of a call or not at all; settle() keeps them, refund() gives them back", async () => {
    await using nodes = await openTwo("set", window, slots(1));
    const { one, other, ada, there } = nodes;
    const first = createSharedReservation();
    assert.equal(await ada.reserve(first, 1, 1), admitted);
    one.settle(first, systemClock.monotonicMs());
    for (let call = 0; call < 5; call++)
      assert.equal(await there.reserve(createSharedReservation(), 1, 1), refused);
    one.finish(first, systemClock.monotonicMs());
    await one.handBack();
    const second = createSharedReservation();
    await waitFor(async () => (await there.reserve(second, 1, 1)) === admitted, {
      what: "the slot of the first",
      deadlineMs: 5_000,
    });
    other.refund(second, systemClock.monotonicMs());
    await other.handBack();
    // One of three was spent by `first`; what was refused five times, and what was refunded, was not.
    const third = createSharedReservation();
    await waitFor(async () => (await ada.reserve(third, 2, 1)) === admitted, {
      what: "both refunded",
      deadlineMs: 5_000,
    });
    assert.equal(await there.acquire(1, 0), refused);
  });

  test("of a node that says nothing any more come free when their time is over, not before; those of one that renews stay", async () => {
    await using nodes = await openTwo("dead", slots(2, 1));
    const { one, ada, there } = nodes;
    const [lost, living, next] = [
      createSharedReservation(),
      createSharedReservation(),
      createSharedReservation(),
    ];
    const begunMs = systemClock.monotonicMs();
    assert.equal(await ada.reserve(lost, 1), admitted);
    assert.equal(await ada.reserve(living, 1), admitted);
    await waitFor(
      async () => {
        assert.equal(one.renew(living, systemClock.monotonicMs()), true);
        return (await there.reserve(next, 1)) === admitted;
      },
      { what: "the lost holder's slot", deadlineMs: 10_000 },
    );
    assert.ok(systemClock.monotonicMs() - begunMs >= 1_000);
    assert.equal(one.renew(lost, systemClock.monotonicMs()), false);
    one.finish(lost, systemClock.monotonicMs());
    await one.handBack();
    // The one that was given up gives nothing back.
    assert.equal(one.renew(living, systemClock.monotonicMs()), true);
    assert.equal(await ada.reserve(createSharedReservation(), 1), refused);
  });
});

describe("the script's slots", () => {
  const plan = toSharedPlan({ definition: slots(4, 10), whenStoreLost: "deny" }, 2);
  const ttlMs = 10_000;
  const hold = (key: string, seq: number, units = 1): LimitAsk =>
    askFor({ key, plan, seq, need: units, want: units, ttlMs });

  test("are exact by an oracle that counts holders, under any traffic of two nodes", async () => {
    await using script = await openScriptRunner(redis.url);
    let runs = 0;
    const steps = fc.array(
      fc.record({
        waitMs: fc.oneof(fc.nat(3_000), fc.constantFrom(0, 9_999, 10_000)),
        do: fc.constantFrom("begin", "begin", "begin", "finish", "renew"),
        units: fc.integer({ min: 1, max: 3 }),
        which: fc.nat(30),
      }),
      { maxLength: 60 },
    );
    await fc.assert(
      fc.asyncProperty(steps, async (calls) => {
        const key = `t:{0}:slots${++runs}`;
        const holders: { node: string; seq: number; units: number; untilMs: number }[] = [];
        let [nowMs, seq] = [1_000, 0];
        const inFlight = (): number =>
          holders.reduce((sum, { units, untilMs }) => sum + (untilMs > nowMs ? units : 0), 0);
        for (const { waitMs, do: how, units, which } of calls) {
          nowMs += waitMs;
          const holder = holders[which % Math.max(1, holders.length)];
          if (how === "begin") {
            const node = which % 2 === 0 ? "one" : "other";
            const { isMet } = await script.run([hold(key, ++seq, units)], {
              nowUs: nowMs * 1_000,
              node,
            });
            assert.equal(isMet, inFlight() + units <= 4);
            if (isMet) holders.push({ node, seq, units, untilMs: nowMs + ttlMs });
          } else if (holder !== undefined && how === "renew") {
            const slot = { units: holder.units, deadlineMs: 0 };
            const hasRoom = holder.untilMs > nowMs || inFlight() + holder.units <= 4;
            const { keys } = await script.run(
              [askFor({ key, plan, ttlMs, renew: [{ seq: holder.seq, slot }] })],
              { nowUs: nowMs * 1_000, node: holder.node },
            );
            assert.deepEqual(keys[0]!.unrenewed, hasRoom ? [] : [holder.seq]);
            if (hasRoom) holder.untilMs = nowMs + ttlMs;
          } else if (holder !== undefined) {
            await script.run(
              [askFor({ key, plan, ttlMs, ends: [{ seq: holder.seq, spent: 0 }] })],
              {
                nowUs: nowMs * 1_000,
                node: holder.node,
              },
            );
            holders.splice(holders.indexOf(holder), 1);
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  test("after a loss of data nothing is granted until forgotten holders were renewed or are over", async () => {
    await using script = await openScriptRunner(redis.url);
    const key = "t:{7}:slots";
    const at = (nowMs: number, runId: string) => ({ nowUs: nowMs * 1_000, runId, tag: 7 });
    assert.equal((await script.run([hold(key, 1, 3)], at(1_000, "first"))).isMet, true);
    assert.equal((await script.run([hold(key, 2)], at(2_000, "second"))).keys[0]!.status, 2);
    const renew = [{ seq: 1, slot: { units: 3, deadlineMs: 0 } }];
    const renewed = await script.run([askFor({ key, plan, ttlMs, renew })], at(9_000, "second"));
    assert.deepEqual(renewed.keys[0]!.unrenewed, []);
    assert.equal((await script.run([hold(key, 3)], at(11_999, "second"))).keys[0]!.status, 2);
    assert.equal((await script.run([hold(key, 4, 2)], at(12_000, "second"))).isMet, false);
    assert.equal((await script.run([hold(key, 5, 1)], at(12_000, "second"))).isMet, true);
    assert.equal((await script.run([hold(key, 6, 3)], at(19_000, "second"))).isMet, true);
  });
});
