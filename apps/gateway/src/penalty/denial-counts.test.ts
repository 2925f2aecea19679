import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { systemRandom } from "@tidegate/clock";
import { createLimiter, type LimitDefinition } from "@tidegate/limits";
import fc from "fast-check";
import { DenialCounts, denialDefinitionsOf } from "./denial-counts.ts";

const open = (limits: readonly LimitDefinition[]): DenialCounts =>
  new DenialCounts(
    limits,
    createLimiter({ definitions: denialDefinitionsOf(limits), random: systemRandom }),
  );

/** How many refusals, one each `everyMs`, it takes until one is too many; 0 when `most` are not enough. */
function refusalsUntilStrike(limit: LimitDefinition, everyMs: number, most: number): number {
  const counts = open([limit]);
  for (let count = 1; count <= most; count++)
    if (counts.add(0, "caller", { nowMs: 1_000 + count * everyMs })) return count;
  return 0;
}

const window = (limit: number, seconds: number): LimitDefinition => ({
  kind: "window",
  name: "calls",
  limit,
  seconds,
});

describe("DenialCounts", () => {
  test("add() finds one too many above max(3 × limit, 30), for every kind of limit", () => {
    const cases: readonly [LimitDefinition, number][] = [
      [window(1, 60), 31],
      [window(10, 60), 31],
      [window(11, 60), 34],
      [window(1_000, 60), 3_001],
      [{ kind: "bucket", name: "calls", count: 10, seconds: 1, burst: 50 }, 151],
      [{ kind: "quota", name: "calls", limit: 20, period: "day" }, 61],
      [{ kind: "concurrency", name: "calls", limit: 2 }, 31],
    ];
    for (const [limit, expected] of cases)
      assert.equal(refusalsUntilStrike(limit, 0, 5_000), expected, JSON.stringify(limit));
  });

  test("refusals older than the window never strike", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 400 }),
        fc.integer({ min: 1, max: 600 }),
        fc.array(fc.integer({ min: 0, max: 5_000 }), { minLength: 30, maxLength: 1_500 }),
        (limit, seconds, pauses) => {
          const counts = open([window(limit, seconds)]);
          const times: number[] = [];
          let nowMs = 1_000;
          for (const pauseMs of pauses) {
            nowMs += pauseMs;
            times.push(nowMs);
            if (!counts.add(0, "caller", { nowMs: nowMs })) continue;
            const inWindow = times.filter((at) => at > nowMs - seconds * 1_000).length;
            assert.ok(inWindow > Math.max(3 * limit, 30), `${inWindow} refusals`);
            return;
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  test("a large limit is counted in sub-windows, which forget in time too", () => {
    const counts = open([window(100, 600)]);
    for (let count = 0; count < 300; count++)
      assert.equal(counts.add(0, "ada", { nowMs: 1_000 }), false);
    assert.equal(counts.add(0, "ada", { nowMs: 1_000 + 600_000 }), false);
  });

  test("a bucket counts for the time it takes to refill, at least 10 s", () => {
    const fast: LimitDefinition = { kind: "bucket", name: "b", count: 10, seconds: 1, burst: 10 };
    assert.equal(refusalsUntilStrike(fast, 300, 60), 31);
    assert.equal(refusalsUntilStrike(fast, 400, 60), 0);
  });

  test("bytes count as what they are, but no few refusals are a strike, however large", () => {
    const strikeAfter = (capacity: number, bytes: number, most: number): number => {
      const counts = open([window(capacity, 60)]);
      for (let count = 1; count <= most; count++)
        if (counts.add(0, "caller", { nowMs: 1_000, bytes })) return count;
      return 0;
    };
    // 3 MB of refused messages of 100 bytes over a limit of 1 MB.
    assert.equal(strikeAfter(1_000_000, 100, 40_000), 30_001);
    assert.equal(strikeAfter(1_000_000, 900_000, 100), 31);
    assert.equal(strikeAfter(5, 1_000_000, 100), 31);
    assert.equal(strikeAfter(1_000_000, 0, 100), 0);
  });

  test("callers and limits are counted apart", () => {
    const counts = open([window(1, 60), window(1, 60)]);
    for (let count = 0; count < 30; count++)
      assert.equal(counts.add(0, "ada", { nowMs: 1_000 }), false);
    assert.equal(counts.add(0, "bob", { nowMs: 1_000 }), false);
    assert.equal(counts.add(1, "ada", { nowMs: 1_000 }), false);
    assert.equal(counts.add(0, "ada", { nowMs: 1_000 }), true);
  });

  test("a limit too large to count strikes nobody", () => {
    const limits = [window(2 ** 31 - 1, 60), window(1, 60)];
    const counts = open(limits);
    for (let count = 0; count < 30; count++) counts.add(1, "ada", { nowMs: 1_000 });
    assert.equal(counts.add(0, "ada", { nowMs: 1_000 }), false);
    assert.equal(counts.add(1, "ada", { nowMs: 1_000 }), true);
  });

  test("in a full table, what others did is no strike for who comes new", () => {
    const counts = open([window(1, 600)]);
    for (let number = 0; number < 16_384; number++)
      counts.add(0, `caller ${number}`, { nowMs: 1_000 });
    let strikes = 0;
    for (let number = 0; number < 5_000; number++)
      if (counts.add(0, `new ${number}`, { nowMs: 1_000 })) strikes++;
    assert.equal(strikes, 0);
    // Who was there before is still counted alone.
    for (let count = 0; count < 29; count++)
      assert.equal(counts.add(0, "caller 1", { nowMs: 1_000 }), false);
    assert.equal(counts.add(0, "caller 1", { nowMs: 1_000 }), true);
  });
});
