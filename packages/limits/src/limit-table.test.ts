import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { systemRandom } from "@tidegate/clock";
import { createLimiter } from "./create-limiter.ts";
import type { BucketDefinition, LimitDefinition, WindowDefinition } from "./limit-definition.ts";
import { createLimitReport, createReservation, NO_HANDLE, OUTCOME } from "./limiter.ts";

const MINUTE: LimitDefinition = { kind: "window", name: "w", limit: 3, seconds: 60 };
const KINDS: readonly (BucketDefinition | WindowDefinition)[] = [
  MINUTE,
  { ...MINUTE, precision: "sub-windows" },
  { kind: "bucket", name: "b", count: 3, seconds: 60, burst: 3 },
];

function open(definitions: readonly LimitDefinition[], maxKeys = 100, maxHandles?: number) {
  const limiter = createLimiter({
    definitions: definitions.map((definition) => Object.assign({}, definition, { maxKeys })),
    random: systemRandom,
    ...(maxHandles !== undefined && { maxHandles }),
  });
  const handles = new Int32Array(1);
  const report = createLimitReport();
  const one = Int32Array.of(1);
  return {
    limiter,
    report,
    /** One unit for `key`, by a handle of the moment, as a request does it. */
    take: (key: string, nowMs: number, limitIndex = 0) => {
      handles[0] = limiter.intern(limitIndex, key);
      const outcome = limiter.acquire(handles, one, 1, nowMs, report);
      limiter.release(handles[0]);
      return outcome;
    },
  };
}

describe("limit table", () => {
  for (const definition of KINDS) {
    const label = definition.kind === "bucket" ? "bucket" : (definition.precision ?? "exact");

    test(`a flood of other keys never frees a caller who is limited (${label})`, () => {
      const { limiter, take } = open([definition]);
      for (let unit = 0; unit < 3; unit++) assert.equal(take("mallory", 0), OUTCOME.admitted);
      for (let key = 0; key < 20_000; key++) take(`sybil ${key}`, 1);
      assert.equal(take("mallory", 2), OUTCOME.refused);
      const [limit] = limiter.statistics().limits;
      assert.equal(limit!.keys, 100);
      assert.ok(limit!.spills > 10_000);
    });

    test(`no caller gets more than its limit while callers overflow, expire and come back (${label})`, () => {
      const { take } = open([definition], 10);
      const admitted = new Map<string, number[]>();
      // 300 callers for 10 records, over some minutes; every fourth call is by one of five who try all the time.
      for (let call = 0; call < 12_000; call++) {
        const nowMs = call * 20;
        const key = call % 4 === 0 ? `busy ${(call / 4) % 5}` : `other ${(call * 7) % 300}`;
        if (take(key, nowMs) !== OUTCOME.admitted) continue;
        const times = admitted.get(key) ?? [];
        admitted.set(key, times);
        times.push(nowMs);
        if (definition.kind === "bucket") {
          const interval = nowMs - times[0]!;
          assert.ok(times.length <= 3 + (interval * 3) / 60_000);
        } else if (times.length > 3) {
          assert.ok(nowMs - times[times.length - 4]! >= 60_000);
        }
      }
      assert.ok(admitted.size > 20);
    });

    test(`a caller who moves from a coarse record to one of its own takes its debt along (${label})`, () => {
      const { limiter, take } = open([definition], 1);
      // The only record is taken for a minute, so ada spends in a coarse one.
      for (let unit = 0; unit < 3; unit++) take("first", 0);
      for (let unit = 0; unit < 3; unit++) assert.equal(take("ada", 30_000), OUTCOME.admitted);
      assert.equal(take("ada", 30_001), OUTCOME.refused);
      // By now the first one's record is idle and becomes ada's: window and bucket have 45 s of her time behind them.
      const freeAtMs = 75_000;
      assert.equal(limiter.statistics().limits[0]!.keys, 1);
      const outcomes = [0, 1, 2].map(() => take("ada", freeAtMs));
      const expected = definition.kind === "bucket" ? 2 : 0;
      assert.equal(outcomes.filter((outcome) => outcome === OUTCOME.admitted).length, expected);
      assert.equal(take("ada", 95_000), OUTCOME.admitted);
    });
  }

  test("sweep() takes back idle records and only those, and memory is used again", () => {
    const { limiter, take } = open([MINUTE], 1_000);
    for (let key = 0; key < 500; key++) take(`early ${key}`, 0);
    for (let key = 0; key < 500; key++) take(`late ${key}`, 30_000);
    assert.equal(limiter.sweep(59_000, 10_000), 0);
    assert.equal(limiter.sweep(61_000, 10_000), 500);
    for (let key = 0; key < 500; key++) take(`new ${key}`, 62_000);
    const [limit] = limiter.statistics().limits;
    assert.equal(limit!.keys, 1_000);
    assert.equal(limit!.spills, 0);
    assert.equal(limiter.sweep(1_000_000, 10_000), 1_000);
    assert.equal(limiter.statistics().limits[0]!.keys, 0);
  });

  test("without anybody calling sweep() the table lives from what insertions find", () => {
    const { limiter, take } = open([MINUTE], 200);
    // At any time some 150 callers are limited; over the day 20,000 come by.
    for (let key = 0; key < 20_000; key++) take(`key ${key}`, key * 400);
    assert.equal(limiter.statistics().limits[0]!.spills, 0);
  });

  test("a handle stays good when its record is taken back and used by another", () => {
    const { limiter, take, report } = open([MINUTE], 1);
    const handles = Int32Array.of(limiter.intern(0, "ada"));
    const one = Int32Array.of(1);
    limiter.acquire(handles, one, 1, 0, report);
    assert.equal(take("grace", 61_000), OUTCOME.admitted);
    for (let unit = 0; unit < 3; unit++) limiter.acquire(handles, one, 1, 62_000, report);
    assert.equal(limiter.acquire(handles, one, 1, 62_000, report), OUTCOME.refused);
    limiter.peek(Int32Array.of(limiter.intern(0, "grace")), one, 1, 62_000, report);
    assert.equal(report.remaining[0], 2);
  });

  test("refund() leaves alone a record that serves somebody else by now", () => {
    const { limiter, take, report } = open([MINUTE], 1);
    const reservation = createReservation();
    const handles = Int32Array.of(limiter.intern(0, "ada"));
    limiter.reserve(handles, Int32Array.of(2), 1, 0, report, reservation);
    for (let unit = 0; unit < 3; unit++) take("grace", 61_000);
    limiter.refund(reservation, 61_000);
    assert.equal(take("grace", 61_001), OUTCOME.refused);
  });

  test("a call never takes back the idle record of another caller of the same call", () => {
    const { limiter, take, report } = open([MINUTE], 1);
    take("ada", 0);
    const handles = Int32Array.from(["ada", "grace"], (key) => limiter.intern(0, key));
    // Ada's record is idle by now, and the only one that Grace could get.
    assert.equal(
      limiter.acquire(handles, Int32Array.of(1, 2), 2, 61_000, report),
      OUTCOME.admitted,
    );
    limiter.peek(handles, Int32Array.of(1, 1), 2, 61_000, report);
    assert.deepEqual(Array.from(report.remaining.subarray(0, 2)), [2, 1]);
  });

  test("a limit's flood does not touch the table of another limit", () => {
    const { limiter, take } = open([MINUTE, { ...MINUTE, name: "users" }], 50);
    for (let key = 0; key < 5_000; key++) take(`address ${key}`, 0, 0);
    take("ada", 0, 1);
    assert.deepEqual(
      limiter.statistics().limits.map(({ spills }) => spills > 0),
      [true, false],
    );
  });

  test("intern() hands out NO_HANDLE when all are in use, and that one is refused", () => {
    const { limiter, report } = open([MINUTE], 10, 2);
    const handles = Int32Array.of(limiter.intern(0, "a"), limiter.intern(0, "b"));
    assert.equal(limiter.intern(0, "c"), NO_HANDLE);
    const outcome = limiter.acquire(Int32Array.of(NO_HANDLE), Int32Array.of(1), 1, 0, report);
    assert.equal(outcome, OUTCOME.refused);
    assert.equal(report.retryAfterMs, 1_000);
    limiter.release(NO_HANDLE);
    limiter.release(handles[0]!);
    assert.notEqual(limiter.intern(0, "c"), NO_HANDLE);
    assert.equal(limiter.statistics().handleShortages, 1);
  });

  test("a handle used after its release is a bug that is noticed", () => {
    const { limiter, report } = open([MINUTE]);
    const handles = Int32Array.of(limiter.intern(0, "ada"));
    limiter.release(handles[0]!);
    assert.throws(() => limiter.release(handles[0]!), /after its release/);
    limiter.intern(0, "grace");
    const late = () => limiter.acquire(handles, Int32Array.of(1), 1, 0, report);
    assert.throws(late, /after its release/);
  });

  test("a flood of 400,000 keys stays within 64 bytes for each there is room for, and an honest limited one stays limited", () => {
    const definitions = [
      { kind: "bucket", name: "b", count: 1, seconds: 3_600, burst: 1 },
    ] as const;
    const { limiter, take } = open(definitions, 100_000);
    assert.equal(take("honest", 0), OUTCOME.admitted);
    const before = process.memoryUsage().rss;
    for (let key = 0; key < 400_000; key++) take(`sybil ${key}`, 1 + key / 1_000);
    assert.equal(take("honest", 2_000), OUTCOME.refused);
    // A quarter of the keys fit; the rest must not have taken memory.
    const grown = process.memoryUsage().rss - before;
    assert.ok(limiter.statistics().maxBytes - 2 ** 24 < 100_000 * 64);
    assert.ok(grown < 24 * 2 ** 20, `grown by ${grown} bytes`);
  });
});
