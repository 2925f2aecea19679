// Runs alone: it measures memory.

import assert from "node:assert/strict";
import { test } from "node:test";
import { systemRandom } from "@tidegate/clock";
import { createLimiter, createLimitReport, OUTCOME } from "@tidegate/limits";

test("10 million distinct keys stay within a table of 100,000, and an honest limited caller stays limited", () => {
  const maxKeys = 100_000;
  const limiter = createLimiter({
    definitions: [{ kind: "window", name: "w", limit: 5, seconds: 3_600, maxKeys }],
    random: systemRandom,
    maxHandles: 1_000,
  });
  const report = createLimitReport();
  const one = Int32Array.of(1);
  const honest = Int32Array.of(limiter.intern(0, "honest"));
  limiter.acquire(honest, Int32Array.of(5), 1, 1_000, report);
  const before = process.memoryUsage().rss;
  for (let number = 0; number < 10_000_000; number++) {
    const nowMs = 1_000 + number / 10_000;
    const handle = limiter.intern(0, `attacker ${number}`);
    limiter.admits(handle, 1, nowMs);
    limiter.release(handle);
    if (number % 100_000 === 0)
      assert.equal(limiter.acquire(honest, one, 1, nowMs, report), OUTCOME.refused);
  }
  const grownMiB = (process.memoryUsage().rss - before) / 2 ** 20;
  assert.ok(grownMiB < 100, `${grownMiB} MiB`);
  const [seen] = limiter.statistics().limits;
  assert.ok(seen!.keys <= maxKeys && seen!.spills > 9_000_000, "the spill is told");
});
