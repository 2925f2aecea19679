import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startRedis, type Redis } from "@tidegate/testkit";
import type { LimitDefinition } from "../src/limit-definition.ts";
import { worstWindow, type Admission } from "../src/limit-oracle.ts";
import { LIMIT_SCRIPT } from "../src/redis/script-call.ts";
import { openScriptRunner, type ScriptRunner } from "./redis-script-runner.ts";
import { simulate, type Simulation, type SimulationResult } from "./redis-simulation.ts";

const strict = { kind: "window", name: "few", limit: 5, seconds: 1 } as const;
const busy = { kind: "window", name: "many", limit: 300, seconds: 1 } as const;
const bucket = { kind: "bucket", name: "rate", count: 300, seconds: 1, burst: 200 } as const;

/** Fills up within a tenth of a second. */
const quick = { kind: "bucket", name: "quick", count: 2_000, seconds: 1, burst: 200 } as const;

/** Breaks one rule of the script; the same runs must then admit too much, or they prove nothing. */
const SCRIPT_MUTANTS = {
  "expired leases are free at once": [
    "function(lease) book(lease.expires, lease.units) end",
    "function() end",
    "window",
  ],
  "refill up to the capacity while leases are out": ["brim - out * U", "brim", "bucket"],
  "what an ended lease has spent does not cool": [
    "function(_, spent) book(state.now, spent) end",
    "function() end",
    "window",
  ],
  "an end without a name": [
    "local spent = ask.ends[lease.field]",
    "local spent = next(ask.ends) and lease.field:sub(1, #node + 3) == 'l:' .. node .. '#' and ask.ends[next(ask.ends)]",
    "window",
  ],
  "cool-downs rounded down": [
    "free = free + (D - free % D) % D",
    "free = free - free % D - D",
    "window",
  ],
  "a loss is forgiven at once": ["begun > 0 and begun + ask.ttl + W + D or 0", "0", "loss"],
} as const;

/** Declares the tests: every kind of fault, `seeds` times over `steps` steps of 5 ms; and that mutants of the script are found. */
export function simulationsHold({ seeds, steps }: { seeds: number; steps: number }): void {
  let redis: Redis;
  before(async () => void (redis = await startRedis()));
  after(() => redis[Symbol.asyncDispose]());

  const run = (
    script: ScriptRunner,
    options: Partial<Simulation> & Pick<Simulation, "definition" | "seed">,
  ) => simulate({ script, steps, nodes: 3, most: 4, faults: "mild", ...options });

  describe("several nodes on one real server, in virtual time", () => {
    for (const definition of [strict, busy, bucket] as readonly LimitDefinition[]) {
      for (const faults of ["none", "mild", "heavy"] as const) {
        for (const losesData of [false, true]) {
          const what = `${definition.name}, faults ${faults}${losesData ? ", data lost" : ""}`;
          test(`never admit more than the limit (${what})`, async () => {
            await using script = await openScriptRunner(redis.url);
            let admitted = 0;
            let leases = 0;
            for (let seed = 1; seed <= seeds; seed++) {
              const result = await run(script, { definition, faults, losesData, seed });
              assert.ok(excess(definition, result.admissions) <= 0, `seed ${seed}`);
              admitted += result.admissions.length;
              leases += result.leases;
            }
            // A limiter that refuses everything keeps every limit.
            const possible = definition === strict ? 5 : 300;
            const share = { none: losesData ? 0.2 : 0.7, mild: 0.1, heavy: 0.01 }[faults];
            const seconds = (seeds * steps * 5) / 1000;
            assert.ok(admitted >= share * possible * seconds, `${admitted} in ${seconds} s`);
            if (definition !== strict && faults !== "heavy") assert.ok(leases > 0);
          });
        }
      }
    }

    test("never admit more than the limit when all come at once after a lull", async () => {
      await using script = await openScriptRunner(redis.url);
      for (let seed = 1; seed <= seeds; seed++) {
        for (const faults of ["none", "mild", "heavy"] as const) {
          const load = {
            definition: quick,
            faults,
            seed,
            hasLulls: true,
            most: 40,
            steps: steps / 6,
          };
          const { admissions } = await run(script, load);
          assert.ok(excess(quick, admissions) <= 0, `seed ${seed}, faults ${faults}`);
        }
      }
    });

    test("fill a window to the last unit", async () => {
      await using script = await openScriptRunner(redis.url);
      const { admissions } = await run(script, { definition: busy, faults: "none", seed: 1 });
      assert.equal(worstWindow(admissions, 1000), 300);
    });

    test("use their shares of what is withheld while they are cut off, and never exceed the whole", async () => {
      await using script = await openScriptRunner(redis.url);
      for (let seed = 1; seed <= seeds; seed++) {
        const result = await run(script, {
          definition: busy,
          faults: "heavy",
          whenStoreLost: "share",
          hasCrashes: false,
          seed,
        });
        assert.ok(worstWindow(result.admissions, 1000) <= busy.limit, `seed ${seed}`);
        assert.ok(result.admissions.length > 0);
      }
    });

    test("that crash while they are cut off may use their share once more each, and no more", async () => {
      await using script = await openScriptRunner(redis.url);
      const shareOfNode = (0.2 * busy.limit) / 3;
      for (let seed = 1; seed <= seeds; seed++) {
        const { admissions, crashesAtMs } = await run(script, {
          definition: busy,
          faults: "heavy",
          whenStoreLost: "share",
          seed,
        });
        const crashes = worstWindow(
          crashesAtMs.map((atMs) => ({ atMs, cost: 1 })),
          1000,
        );
        const worst = worstWindow(admissions, 1000);
        assert.ok(
          worst <= busy.limit + shareOfNode * crashes,
          `seed ${seed}: ${worst}, ${crashes} crashes`,
        );
      }
    });

    for (const [name, [from, to, where]] of Object.entries(SCRIPT_MUTANTS)) {
      test(`find a script in which ${name}`, async () => {
        assert.ok(LIMIT_SCRIPT.includes(from), "the script has no such rule any more");
        await using script = await openScriptRunner(redis.url, LIMIT_SCRIPT.replaceAll(from, to));
        const isBucket = where === "bucket";
        const definition = isBucket ? quick : busy;
        const isFound = (result: SimulationResult): boolean =>
          excess(definition, result.admissions) > 0;
        for (let seed = 1; seed <= 40; seed++) {
          for (const faults of ["mild", "none"] as const) {
            const load = isBucket ? { hasLulls: true, most: 40 } : { most: 8 };
            const losesData = where === "loss";
            const options = { definition, faults, seed, losesData, ...load, steps: 600 };
            if (isFound(await run(script, options))) return;
          }
        }
        assert.fail("40 seeds found nothing");
      });
    }
  });
}

/** How much more than promised was admitted at worst. */
function excess(definition: LimitDefinition, log: readonly Admission[]): number {
  if (definition.kind === "window")
    return worstWindow(log, definition.seconds * 1000) - definition.limit;
  assert.equal(definition.kind, "bucket");
  // What is above the rate, kept as a level: it never exceeds the burst, whichever interval is looked at.
  let level = 0;
  let worst = 0;
  let lastMs = 0;
  for (const { atMs, cost } of log) {
    level = Math.max(0, level - ((atMs - lastMs) * definition.count) / (definition.seconds * 1000));
    level += cost;
    lastMs = atMs;
    worst = Math.max(worst, level - definition.burst);
  }
  // Times of the nodes have fractions; sums of them have the last digit wrong.
  return worst > 1e-6 ? worst : 0;
}
