import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startRedis, type Redis } from "@tidegate/testkit";
import * as fc from "fast-check";
import { bucket, exact, subWindows, traffic } from "../src/contract-traffic.ts";
import type { LimitDefinition } from "../src/limit-definition.ts";
import {
  oracleAdmitsBucket,
  oracleAdmitsWindow,
  worstWindow,
  type Admission,
} from "../src/limit-oracle.ts";
import { toSharedPlan } from "../src/redis/shared-plan.ts";
import { askFor, openScriptRunner, type ScriptRunner } from "./redis-script-runner.ts";

// One node: asked call by call, or with leases of one call, the script decides as an exact log of admissions does.

/** Far from zero, as the server's own clock is: times in microseconds that need all their digits. */
const EPOCH_US = 1_795_000_000_000_000;
const RUNS = { numRuns: 120 };

let redis: Redis;
let script: ScriptRunner;
let runs = 0;

before(async () => {
  redis = await startRedis();
  script = await openScriptRunner(redis.url);
});
after(async () => {
  await script[Symbol.asyncDispose]();
  await redis[Symbol.asyncDispose]();
});

type Calls = readonly { readonly waitMs: number; readonly cost: number }[];
const planOf = (definition: LimitDefinition) =>
  toSharedPlan({ definition, whenStoreLost: "deny" }, 1);

/** Every call in one pipeline: what is asked does not depend on what was answered. */
async function decide(
  definition: LimitDefinition,
  calls: Calls,
  mode: "direct" | "lease",
): Promise<boolean[]> {
  const plan = planOf(definition);
  const key = `t:{0}:${++runs}`;
  let nowUs = EPOCH_US;
  const answers = calls.map(async ({ waitMs, cost }, index) => {
    nowUs += waitMs * 1000;
    const seq = mode === "lease" ? index + 1 : 0;
    const answer = script.run([askFor({ key, plan, seq, need: cost, want: cost })], { nowUs });
    if (mode === "lease")
      void script.run([askFor({ key, plan, ends: [{ seq, spent: cost }] })], { nowUs });
    return (await answer).keys[0]!.granted === cost;
  });
  return await Promise.all(answers);
}

/** What the oracle says, call for call. */
function expected(
  calls: Calls,
  admits: (log: readonly Admission[], call: Admission) => boolean,
): boolean[] {
  const log: Admission[] = [];
  let atMs = 0;
  return calls.map(({ waitMs, cost }) => {
    atMs += waitMs;
    const isAdmitted = admits(log, { atMs, cost });
    if (isAdmitted) log.push({ atMs, cost });
    return isAdmitted;
  });
}

for (const mode of ["direct", "lease"] as const) {
  describe(`the limit script, ${mode}`, () => {
    test("an exact window decides as the log of admissions does, call for call", async () => {
      const cases = fc
        .record({ limit: fc.integer({ min: 1, max: 9 }), seconds: fc.integer({ min: 1, max: 20 }) })
        .chain(({ limit, seconds }) =>
          fc.tuple(fc.constant(exact(limit, seconds)), traffic(seconds, limit)),
        );
      await fc.assert(
        fc.asyncProperty(cases, async ([definition, calls]) => {
          const decisions = await decide(definition, calls, mode);
          const oracle = expected(calls, (log, call) => oracleAdmitsWindow(log, definition, call));
          assert.deepEqual(decisions, oracle);
        }),
        RUNS,
      );
    });

    test("a bucket decides as the definition does over all intervals, call for call", async () => {
      const cases = fc
        .record({
          count: fc.constantFrom(1, 2, 4, 8, 64),
          seconds: fc.integer({ min: 1, max: 20 }),
          burst: fc.integer({ min: 1, max: 12 }),
        })
        .chain(({ count, seconds, burst }) =>
          fc.tuple(fc.constant(bucket(count, seconds, burst)), traffic(seconds, burst)),
        );
      await fc.assert(
        fc.asyncProperty(cases, async ([definition, all]) => {
          const calls = all.slice(0, 30);
          const decisions = await decide(definition, calls, mode);
          const oracle = expected(calls, (log, call) => oracleAdmitsBucket(log, definition, call));
          assert.deepEqual(decisions, oracle);
        }),
        RUNS,
      );
    });

    test("a window in sub-windows never admits more than the limit, and holds nothing longer than 1/32 more", async () => {
      const cases = fc
        .record({
          limit: fc.integer({ min: 1, max: 200 }),
          seconds: fc.integer({ min: 1, max: 20 }),
        })
        .chain(({ limit, seconds }) =>
          fc.tuple(fc.constant(subWindows(limit, seconds)), traffic(seconds, limit)),
        );
      await fc.assert(
        fc.asyncProperty(cases, async ([definition, calls]) => {
          const stricter = { ...definition, seconds: (definition.seconds * 33) / 32 };
          const log: Admission[] = [];
          let atMs = 0;
          for (const [index, isAdmitted] of (await decide(definition, calls, mode)).entries()) {
            const { waitMs, cost } = calls[index]!;
            atMs += waitMs;
            if (oracleAdmitsWindow(log, stricter, { atMs, cost })) assert.equal(isAdmitted, true);
            if (isAdmitted) log.push({ atMs, cost });
          }
          assert.ok(worstWindow(log, definition.seconds * 1000) <= definition.limit);
        }),
        RUNS,
      );
    });
  });
}

describe("the limit script", () => {
  test("several limits are taken all or nothing, in one script", async () => {
    const definitions = [bucket(4, 10, 6), exact(6, 10), exact(8, 20)] as const;
    const plans = definitions.map(planOf);
    await fc.assert(
      fc.asyncProperty(traffic(10, 4), async (all) => {
        const calls = all.slice(0, 40);
        const name = ++runs;
        let nowUs = EPOCH_US;
        const decisions = await Promise.all(
          calls.map(async ({ waitMs, cost }) => {
            nowUs += waitMs * 1000;
            const asks = plans.map((plan, at) =>
              askFor({ key: `t:{0}:${name}:${at}`, plan, need: cost, want: cost }),
            );
            const answer = await script.run(asks, { nowUs });
            assert.ok(answer.keys.every(({ granted }) => granted === (answer.isMet ? cost : 0)));
            return answer.isMet;
          }),
        );
        const oracle = expected(
          calls,
          (log, call) =>
            oracleAdmitsBucket(log, definitions[0], call) &&
            oracleAdmitsWindow(log, definitions[1], call) &&
            oracleAdmitsWindow(log, definitions[2], call),
        );
        assert.deepEqual(decisions, oracle);
      }),
      { numRuns: 60 },
    );
  });

  for (const definition of [exact(6, 10), bucket(4, 10, 6)] as const) {
    test(`a refusal says to the microsecond when the same cost fits (${definition.kind})`, async () => {
      await fc.assert(
        fc.asyncProperty(traffic(10, 6), async (calls) => {
          const plan = planOf(definition);
          const key = `t:{0}:${++runs}`;
          let nowUs = EPOCH_US;
          for (const { waitMs, cost } of calls.slice(0, 25)) {
            nowUs += waitMs * 1000;
            const ask = askFor({ key, plan, need: cost, want: cost });
            const { keys } = await script.run([ask], { nowUs });
            if (keys[0]!.granted === cost) continue;
            const waitUs = Math.round(keys[0]!.waitMs * 1000);
            const early = await script.run([ask], { nowUs: nowUs + waitUs - 1 });
            assert.equal(early.isMet, false);
            nowUs += waitUs;
            assert.equal((await script.run([ask], { nowUs })).isMet, true);
          }
        }),
        { numRuns: 40 },
      );
    });
  }

  test("a window's unit that is given back is free where it was booked, once, and only in its epoch", async () => {
    const plan = planOf(exact(2, 10));
    const key = `t:{0}:${++runs}`;
    const one = (
      atMs: number,
      undo: readonly { atUs: number; units: number; epoch: string }[] = [],
    ) =>
      script.run([askFor({ key, plan, need: 1, want: 1, undo })], {
        nowUs: EPOCH_US + atMs * 1000,
      });
    const first = await one(0);
    const booking = { atUs: first.keys[0]!.bookedUs, units: 1, epoch: first.epoch };
    await one(1);
    assert.equal((await one(2)).isMet, false);
    assert.equal((await one(3, [{ ...booking, epoch: "another" }])).isMet, false);
    assert.equal((await one(4, [booking])).isMet, true);
    assert.equal((await one(5, [booking])).isMet, false);
  });

  test("a bucket's unit that is given back raises it no further than it would have been without", async () => {
    const plan = planOf(bucket(1, 1, 6));
    const key = `t:{0}:${++runs}`;
    const at = (atMs: number) => ({ nowUs: EPOCH_US + atMs * 1000 });
    const own = { key, plan, ttlMs: 60_000 };
    await script.run([askFor({ ...own, seq: 1, need: 6, want: 6 })], at(0));
    // Ten seconds on it would be full again; units that may come back hold the refill off.
    const { keys } = await script.run([askFor({ ...own, need: 1, want: 1 })], at(10_000));
    assert.equal(keys[0]!.granted, 0);
    const back = await script.run(
      [askFor({ ...own, need: 6, want: 6, ends: [{ seq: 1, spent: 0 }] })],
      at(10_001),
    );
    assert.equal(back.keys[0]!.granted, 6);
    const more = await script.run(
      [askFor({ ...own, need: 1, want: 1, ends: [{ seq: 1, spent: 0 }] })],
      at(10_002),
    );
    assert.equal(more.keys[0]!.granted, 0);
  });

  test("an end names its lease: one that comes late closes no newer lease", async () => {
    const plan = planOf(subWindows(100, 10));
    const key = `t:{0}:${++runs}`;
    const at = (atMs: number) => ({ nowUs: EPOCH_US + atMs * 1000 });
    await script.run([askFor({ key, plan, seq: 1, need: 1, want: 40 })], at(0));
    await script.run(
      [askFor({ key, plan, seq: 2, need: 1, want: 40, ends: [{ seq: 1, spent: 40 }] })],
      at(10),
    );
    // The first end again, and one of a lease that never was.
    const late = await script.run(
      [
        askFor({
          key,
          plan,
          need: 1,
          want: 0,
          ends: [
            { seq: 1, spent: 0 },
            { seq: 9, spent: 0 },
          ],
        }),
      ],
      at(20),
    );
    assert.equal(late.keys[0]!.free, 20);
  });

  test("a request that arrives twice is answered as the first time and grants once", async () => {
    for (const plan of [planOf(subWindows(100, 10)), planOf(bucket(1, 1, 100))]) {
      const key = `t:{0}:${++runs}`;
      const ask = askFor({ key, plan, seq: 1, need: 1, want: 40 });
      const first = await script.run([ask], { nowUs: EPOCH_US });
      const second = await script.run([ask], { nowUs: EPOCH_US + 5_000 });
      assert.deepEqual([first.keys[0]!.granted, second.keys[0]!.granted], [40, 40]);
      const rest = await script.run([askFor({ key, plan, want: 100 })], {
        nowUs: EPOCH_US + 6_000,
      });
      assert.equal(rest.keys[0]!.granted, 60);
    }
  });

  test("a server clock that went back decides at the latest time it wrote", async () => {
    for (const plan of [planOf(exact(6, 10)), planOf(bucket(6, 10, 6))]) {
      const key = `t:{0}:${++runs}`;
      const ask = (need: number) => [askFor({ key, plan, need, want: need })];
      await script.run(ask(6), { nowUs: EPOCH_US + 50_000_000 });
      const back = await script.run(ask(1), { nowUs: EPOCH_US + 10_000_000 });
      assert.equal(back.isMet, false);
      assert.ok(back.keys[0]!.waitMs > 40_000);
    }
  });

  test("a lowered limit grants nothing until enough came back, a raised one at once", async () => {
    const key = `t:{0}:${++runs}`;
    const ask = (limit: number, want: number) => [
      askFor({ key, plan: planOf(exact(limit, 10)), need: want, want }),
    ];
    await script.run(ask(5, 5), { nowUs: EPOCH_US });
    assert.equal((await script.run(ask(3, 1), { nowUs: EPOCH_US + 1 })).isMet, false);
    assert.equal((await script.run(ask(7, 2), { nowUs: EPOCH_US + 2 })).isMet, true);
    assert.equal((await script.run(ask(7, 1), { nowUs: EPOCH_US + 3 })).isMet, false);
    const rate = `t:{0}:${++runs}`;
    const refill = (count: number, want: number) => [
      askFor({ key: rate, plan: planOf(bucket(count, 1, 8)), need: want, want }),
    ];
    await script.run(refill(1, 4), { nowUs: EPOCH_US });
    // Four are left at any rate; a faster refill gives no more at once.
    assert.equal((await script.run(refill(1_000, 5), { nowUs: EPOCH_US + 1 })).isMet, false);
    assert.equal((await script.run(refill(1_000, 4), { nowUs: EPOCH_US + 1 })).isMet, true);
  });

  test("a refusal writes nothing", async () => {
    const plan = planOf(exact(1, 10));
    const key = `t:{0}:${++runs}`;
    const ask = [askFor({ key, plan, need: 1, want: 1 })];
    await script.run(ask, { nowUs: EPOCH_US });
    const kept = await script.connection.command(["HGETALL", key]);
    for (let atMs = 1; atMs < 20; atMs++) await script.run(ask, { nowUs: EPOCH_US + atMs * 1000 });
    assert.deepEqual(await script.connection.command(["HGETALL", key]), kept);
  });

  test("what is kept for a window does not grow with its limit", async () => {
    const plan = planOf(subWindows(1_000_000, 10));
    const key = `t:{0}:${++runs}`;
    for (let call = 0; call < 2_000; call++) {
      void script.run([askFor({ key, plan, need: 1, want: 1 })], {
        nowUs: EPOCH_US + call * 9_000,
      });
    }
    assert.ok(Number(await script.connection.command(["HLEN", key])) <= 68);
  });

  test("keys with nothing left to remember expire by themselves", async () => {
    const key = `t:{0}:${++runs}`;
    await script.run([askFor({ key, plan: planOf(exact(1, 10)), need: 1, want: 1 })], {
      nowUs: EPOCH_US,
    });
    const ttlMs = Number(await script.connection.command(["PTTL", key]));
    assert.ok(ttlMs > 11_000 && ttlMs < 12_000, `${ttlMs}`);
  });
});
