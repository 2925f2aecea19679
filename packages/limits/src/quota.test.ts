import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { manualClock, systemRandom } from "@tidegate/clock";
import { callerOf } from "./contract-traffic.ts";
import { attachLimiter, createLimiter } from "./create-limiter.ts";
import type { QuotaDefinition } from "./limit-definition.ts";
import { beginLockOwner, createLimiterMemory } from "./limiter-memory.ts";
import { OUTCOME } from "./limiter.ts";

const MIDNIGHT = Temporal.Instant.from("2026-11-22T23:00Z").epochMilliseconds;

const quota = (): QuotaDefinition => ({
  kind: "quota",
  name: "daily",
  limit: 5,
  period: "day",
  timeZone: "Europe/Zurich",
  maxKeys: 100,
});

describe("quota", () => {
  test("another thread that has not noticed a step yet decides in the later period too", () => {
    const definitions = [quota()];
    const memory = createLimiterMemory({ definitions, random: systemRandom, reservationMs: 9 });
    const clock = manualClock(0);
    clock.stepWall(MIDNIGHT - 500);
    const [left, right] = [1, 2].map((owner) =>
      callerOf(attachLimiter({ memory, lockOwner: beginLockOwner(memory, owner), clock }), [0]),
    );
    assert.equal(right!.acquire(0, 1), OUTCOME.admitted);
    assert.equal(left!.acquire(0, 4), OUTCOME.admitted);
    assert.equal(left!.acquire(0, 1), OUTCOME.refused);
    // The left one passes midnight; the right one is asked with a time from before.
    assert.equal(left!.acquire(600, 5), OUTCOME.admitted);
    assert.equal(right!.acquire(400, 1), OUTCOME.refused);
    assert.equal(right!.acquire(600, 1), OUTCOME.refused);
  });

  test("a quota without a clock is refused at the start", () => {
    assert.throws(
      () => createLimiter({ definitions: [quota()], random: systemRandom }),
      /a quota needs a clock/,
    );
  });
});
