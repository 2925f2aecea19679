import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { manualClock, systemRandom } from "@tidegate/clock";
import { startRedis, type Redis } from "@tidegate/testkit";
import * as fc from "fast-check";
import { bucket, callerOf, exact, IN_MEMORY, traffic } from "../src/contract-traffic.ts";
import { createLimiter } from "../src/create-limiter.ts";
import { limiterContract } from "../src/limiter.contract.ts";
import { openHosts } from "./hosted-limiter.ts";

// The contract of limiters in memory (`create-limiter.test.ts`), kept by real threads and through a real Redis.

const hosts = openHosts(2);
let redis: Redis;
before(async () => void (redis = await startRedis()));
after(async () => {
  await hosts[Symbol.asyncDispose]();
  await redis[Symbol.asyncDispose]();
});

limiterContract(
  "attachLimiter() on two threads in turn",
  (definitions, options) => hosts.attach(definitions, { ...options }),
  { ...IN_MEMORY, effort: 0.4 },
);

for (const how of ["direct", "leases"] as const)
  limiterContract(
    `createSharedLimiter(), ${how}`,
    (definitions, options) => hosts.share(definitions, { ...options, url: redis.url, how }),
    // Redis tells time in microseconds.
    {
      effort: 0.3,
      resolutionMs: 0.001,
      refundsLast: how === "direct",
      hasOwnTime: true,
      hasConcurrency: false,
    },
  );

describe("one node, one unit a lease", () => {
  const kinds = fc.oneof(
    fc
      .record({ limit: fc.integer({ min: 1, max: 9 }), seconds: fc.integer({ min: 1, max: 20 }) })
      .map(({ limit, seconds }) => exact(limit, seconds)),
    fc
      .record({
        count: fc.constantFrom(1, 2, 4, 8, 64),
        seconds: fc.integer({ min: 1, max: 20 }),
        burst: fc.integer({ min: 1, max: 9 }),
      })
      .map(({ count, seconds, burst }) => bucket(count, seconds, burst)),
    fc.constantFrom("minute", "hour").map((period) => {
      const definition = { kind: "quota", name: "q", limit: 5, period } as const;
      return definition;
    }),
  );

  test("memory, threads, Redis call by call and Redis by leases decide alike, call for call", () => {
    const sets = fc.array(kinds, { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(sets, traffic(10, 9), (definitions, calls) => {
        const clock = manualClock(1_000);
        clock.stepWall(1_795_000_000_000);
        const small = definitions.map((definition) => ({ ...definition, maxKeys: 100 }));
        const limiters = {
          memory: createLimiter({ definitions: small, random: systemRandom, clock }),
          threads: hosts.attach(definitions, { clock }),
          direct: hosts.share(definitions, { clock, url: redis.url, how: "direct" }),
          leases: hosts.share(definitions, { clock, url: redis.url, how: "leases" }),
        };
        const positions = definitions.map((_, at) => at);
        const callers = Object.values(limiters).map((limiter) => callerOf(limiter, positions));
        for (const { waitMs, cost } of calls) {
          clock.advance(waitMs);
          const costs = positions.map(() => cost);
          const outcomes = callers.map((caller) => caller.acquire(clock.monotonicMs(), ...costs));
          assert.deepEqual(outcomes, [outcomes[0], outcomes[0], outcomes[0], outcomes[0]]);
        }
      }),
      { numRuns: 60 },
    );
  });
});
