import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { manualClock, systemRandom, type Clock } from "@tidegate/clock";
import * as fc from "fast-check";
import { bucket, callerOf, exact, subWindows, traffic } from "./contract-traffic.ts";
import { createLimiter } from "./create-limiter.ts";
import type { LimitDefinition } from "./limit-definition.ts";
import { excessOfBucket, oracleAdmitsWindow, worstWindow, type Admission } from "./limit-oracle.ts";
import { createLimiterMemory } from "./limiter-memory.ts";
import { OUTCOME } from "./limiter.ts";

const daily: LimitDefinition = { kind: "quota", name: "q", limit: 6, period: "day" };
const WALL = Temporal.Instant.from("2026-11-23T12:00Z").epochMilliseconds;

/** A process: its monotonic clock begins at some small number, its wall clock where told. */
function boot(
  definitions: readonly LimitDefinition[],
  { wallMs, snapshot, startMs = 50 }: { wallMs: number; snapshot?: Uint8Array; startMs?: number },
) {
  const clock = manualClock(startMs);
  clock.stepWall(wallMs - startMs);
  const limiter = createLimiter({
    definitions: definitions.map((definition) => ({ maxKeys: 100, ...definition })),
    random: systemRandom,
    clock,
    ...(snapshot && { snapshot }),
  });
  return {
    clock,
    limiter,
    of: (key: string, limits = definitions.map((_, index) => index)) => {
      const caller = callerOf(limiter, limits, key);
      return {
        ...caller,
        take: (...costs: number[]) => caller.acquire(clock.monotonicMs(), ...costs),
      };
    },
    end: () => limiter.snapshot(clock.monotonicMs(), clock.wallMs()),
  };
}

describe("snapshot() and restore", () => {
  for (const definition of [bucket(4, 10, 6), exact(6, 10), subWindows(6, 10), daily]) {
    const label = `${definition.kind} ${definition.name}`;

    test(`restarts at any point of any traffic weaken no guarantee (${label})`, () => {
      const cases = fc.array(
        fc.record({ calls: traffic(10, 6), downMs: fc.nat(12_000), startMs: fc.nat(9_000_000) }),
        { minLength: 1, maxLength: 4 },
      );
      fc.assert(
        fc.property(cases, (lives) => {
          const log: Admission[] = [];
          let wallMs = WALL;
          let snapshot: Uint8Array | undefined;
          for (const { calls, downMs, startMs } of lives) {
            const life = boot([definition], { wallMs, startMs, ...(snapshot && { snapshot }) });
            const ada = life.of("ada");
            for (const { waitMs, cost } of calls.slice(0, 20)) {
              life.clock.advance(waitMs);
              if (ada.take(cost) === OUTCOME.admitted) {
                log.push({ atMs: life.clock.wallMs() - WALL, cost });
              }
            }
            snapshot = life.end();
            wallMs = life.clock.wallMs() + downMs;
          }
          if (definition.kind === "bucket") assert.ok(excessOfBucket(log, definition) <= 0);
          else if (definition.kind === "window") assert.ok(worstWindow(log, 10_000) <= 6);
          else assert.ok(log.reduce((sum, { cost }) => sum + cost, 0) <= 6);
        }),
        { numRuns: 100 },
      );
    });

    test(`a restart in no time changes no decision (${label})`, () => {
      fc.assert(
        fc.property(traffic(10, 6), fc.nat(40), (calls, restartAt) => {
          const whole = boot([definition], { wallMs: WALL });
          let cut = boot([definition], { wallMs: WALL });
          for (const [index, { waitMs, cost }] of calls.entries()) {
            if (index === restartAt) {
              const snapshot = cut.end();
              // Whole windows and epochs away on the other clock, so that nothing needs rounding.
              cut = boot([definition], {
                wallMs: cut.clock.wallMs(),
                startMs: cut.clock.monotonicMs() + 60_000,
                snapshot,
              });
            }
            whole.clock.advance(waitMs);
            cut.clock.advance(waitMs);
            assert.equal(cut.of("ada").take(cost), whole.of("ada").take(cost));
          }
        }),
        { numRuns: 60 },
      );
    });

    test(`what is reserved when the process ends is spent (${label})`, () => {
      const first = boot([definition], { wallMs: WALL });
      first.of("ada").reserve(first.clock.monotonicMs(), 6);
      const second = boot([definition], { wallMs: WALL + 10, snapshot: first.end() });
      assert.equal(second.of("ada").take(1), OUTCOME.refused);
      assert.equal(second.of("grace").take(6), OUTCOME.admitted);
      // Spent, not held: it comes back as what was spent does.
      second.clock.advance(15_100);
      const isBack = second.of("ada").take(6) === OUTCOME.admitted;
      assert.equal(isBack, definition.kind !== "quota");
    });

    test(`a wall clock that went back over the restart only denies (${label})`, () => {
      const first = boot([definition], { wallMs: WALL });
      first.of("ada").take(6);
      const second = boot([definition], { wallMs: WALL - 86_400_000, snapshot: first.end() });
      assert.equal(second.of("ada").take(1), OUTCOME.refused);
      second.clock.advance(2_400);
      assert.equal(second.of("ada").take(1), OUTCOME.refused);
      // No longer than if no time had passed.
      second.clock.advance(12_800);
      const isBack = second.of("ada").take(6) === OUTCOME.admitted;
      assert.equal(isBack, definition.kind !== "quota");
    });
  }

  test("a window of 30 days lasts over restarts, and ends", () => {
    const month = { ...exact(2, 30 * 86_400), name: "month" };
    let life = boot([month], { wallMs: WALL });
    life.of("ada").take(2);
    for (let day = 0; day < 29; day++) {
      life.clock.advance(1_000);
      life = boot([month], { wallMs: WALL + day * 86_400_000, snapshot: life.end() });
      assert.equal(life.of("ada").take(1), OUTCOME.refused);
    }
    life = boot([month], { wallMs: WALL + 30.1 * 86_400_000, snapshot: life.end() });
    assert.equal(life.of("ada").take(2), OUTCOME.admitted);
  });

  test("limits are found again by name: unchanged ones go on, changed ones keep what was spent, new ones begin", () => {
    const before = boot(
      [
        { ...exact(5, 60), name: "a" },
        { ...bucket(10, 60, 10), name: "b" },
      ],
      {
        wallMs: WALL,
      },
    );
    before.of("ada").take(4, 4);
    const snapshot = before.end();
    const after = boot(
      [
        { ...exact(9, 3_600), name: "new" },
        { ...bucket(6, 60, 6), name: "b" },
        { ...exact(5, 60), name: "a", maxKeys: 50, countDenied: true },
      ],
      { wallMs: WALL + 30_000, snapshot },
    );
    after.of("ada").peek(after.clock.monotonicMs(), 1, 1, 1);
    const ada = after.of("ada");
    ada.peek(after.clock.monotonicMs(), 1, 1, 1);
    // The bucket had refilled all but... four spent, five refilled: nothing is owed. The window still counts four.
    assert.deepEqual(Array.from(ada.report.remaining.subarray(0, 3)), [9, 6, 1]);
    after.clock.advance(30_000);
    assert.equal(after.of("ada", [2]).take(5), OUTCOME.admitted);
  });

  test("a changed limit counts all that the old one counted as spent now, whatever kind it was", () => {
    const kinds = [bucket(6, 600, 6), exact(6, 600), subWindows(6, 600), daily].map(
      (definition) => ({
        ...definition,
        name: "x",
      }),
    );
    for (const old of kinds) {
      for (const next of kinds) {
        const before = boot([old], { wallMs: WALL });
        before.of("ada").take(4);
        before.of("full").take(6);
        const changed: LimitDefinition =
          next.kind === "bucket" ? { ...next, count: 5, burst: 5 } : { ...next, limit: 5 };
        const after = boot([changed], { wallMs: WALL + 1, snapshot: before.end() });
        assert.equal(after.of("ada").take(2), OUTCOME.refused);
        assert.equal(after.of("ada").take(1), OUTCOME.admitted);
        assert.equal(after.of("full").take(1), OUTCOME.refused);
        assert.equal(after.of("grace").take(5), OUTCOME.admitted);
      }
    }
  });

  test("a change of a window never admits more than the stricter of both, counted over the change", () => {
    const change = fc.tuple(
      fc.integer({ min: 1, max: 8 }),
      fc.integer({ min: 1, max: 8 }),
      fc.constantFrom("exact", "sub-windows"),
      traffic(10, 4),
      traffic(10, 4),
    );
    fc.assert(
      fc.property(change, ([oldLimit, newLimit, precision, early, late]) => {
        const old: LimitDefinition = { ...exact(oldLimit, 10), name: "w" };
        const next = { ...exact(newLimit, 10), precision, name: "w" };
        let life = boot([old], { wallMs: WALL });
        const log: Admission[] = [];
        for (const [index, { waitMs, cost }] of [...early, ...late].entries()) {
          if (index === early.length)
            life = boot([next], { wallMs: life.clock.wallMs(), snapshot: life.end() });
          life.clock.advance(waitMs);
          const call = { atMs: life.clock.wallMs(), cost };
          if (life.of("ada").take(cost) !== OUTCOME.admitted) continue;
          // After the change each admission fits the new limit with all that was admitted before it.
          const definition: LimitDefinition = index < early.length ? old : next;
          if (definition.kind === "window") assert.ok(oracleAdmitsWindow(log, definition, call));
          log.push(call);
        }
      }),
      { numRuns: 100 },
    );
  });

  test("a flood in the table is restored into a smaller one without freeing anybody", () => {
    const definition = { ...exact(3, 600), maxKeys: 200 };
    const before = boot([definition], { wallMs: WALL });
    // 150 overflow into coarse records.
    for (let key = 0; key < 350; key++) before.of(`key ${key}`).take(3);
    for (const maxKeys of [20, 200, 1_000]) {
      const after = boot([{ ...definition, maxKeys }], {
        wallMs: WALL + 1,
        snapshot: before.end(),
      });
      for (let key = 0; key < 350; key++) {
        assert.equal(after.of(`key ${key}`).take(1), OUTCOME.refused);
      }
    }
  });

  test("a unit spent at any moment of a sub-window stays spent for a whole window, over any restart", () => {
    const cases = fc.tuple(fc.nat(999), fc.nat(5_000), fc.nat(9_999_999));
    for (const definition of [exact(6, 10), subWindows(6, 10)]) {
      fc.assert(
        fc.property(cases, ([phaseMs, downMs, startMs]) => {
          const first = boot([definition], { wallMs: WALL });
          first.clock.advance(phaseMs);
          first.of("ada").take(6);
          const snapshot = first.end();
          const wallMs = first.clock.wallMs() + downMs;
          const second = boot([definition], { wallMs, startMs, snapshot });
          second.clock.advance(9_999 - downMs);
          assert.equal(second.of("ada").take(1), OUTCOME.refused);
          second.clock.advance(1 + (definition.precision === "exact" ? 1 : 626));
          assert.equal(second.of("ada").take(6), OUTCOME.admitted);
        }),
        { numRuns: 300 },
      );
    }
  });

  test("a period that was left is not entered by a restart with a clock that went back", () => {
    const first = boot([daily], { wallMs: WALL });
    first.of("ada").take(6);
    first.clock.advance(86_400_000);
    // Ada spent nothing in this one, so nothing of hers is saved.
    first.of("grace").take(1);
    const second = boot([daily], { wallMs: WALL, snapshot: first.end() });
    assert.equal(second.of("ada").take(6), OUTCOME.admitted, "the later day's budget");
    second.clock.advance(86_400_000);
    assert.equal(second.of("ada").take(1), OUTCOME.refused);
  });

  test("a quota's period is not entered again after a restart with a clock that went back", () => {
    const first = boot([daily], { wallMs: WALL });
    first.of("ada").take(6);
    first.clock.advance(86_400_000);
    first.of("ada").take(6);
    const second = boot([daily], { wallMs: WALL, snapshot: first.end() });
    assert.equal(second.of("ada").take(1), OUTCOME.refused);
    assert.equal(second.of("grace").take(6), OUTCOME.admitted);
  });

  test("holders do not outlive the process, and the report says what became of each limit", () => {
    const slots: LimitDefinition = { kind: "concurrency", name: "c", limit: 1 };
    const first = boot([slots, exact(3, 60), { ...exact(3, 60), name: "gone" }], { wallMs: WALL });
    first.of("ada").reserve(first.clock.monotonicMs(), 1, 1, 1);
    const bytes = first.end();
    const clock: Clock = manualClock(0);
    const memory = createLimiterMemory({
      definitions: [slots, exact(4, 60)],
      random: systemRandom,
      reservationMs: 1_000,
      snapshot: { bytes, clock },
    });
    assert.deepEqual(memory.restored, [
      { name: "c", how: "dropped", keys: 0 },
      { name: "w", how: "carried", keys: 1 },
      { name: "gone", how: "dropped", keys: 0 },
    ]);
    const second = boot([slots], { wallMs: WALL, snapshot: bytes });
    assert.equal(second.of("ada").reserve(second.clock.monotonicMs(), 1).outcome, OUTCOME.admitted);
  });

  test("bytes that are damaged, cut or of another version are refused with a reason", () => {
    const life = boot([exact(3, 60)], { wallMs: WALL });
    life.of("ada").take(1);
    const good = life.end();
    const restore = (snapshot: Uint8Array) => () =>
      boot([exact(3, 60)], { wallMs: WALL, snapshot });
    for (const length of [0, 4, 40, good.length - 1]) {
      assert.throws(restore(good.subarray(0, length)), /Cannot restore a limiter/);
    }
    for (let at = 0; at < good.length; at++) {
      const bad = Uint8Array.from(good);
      bad[at]! ^= 1;
      assert.throws(restore(bad), /Cannot restore a limiter/);
    }
    restore(Buffer.concat([Buffer.alloc(3), good]).subarray(3))();
    assert.throws(
      () => createLimiter({ definitions: [exact(3, 60)], random: systemRandom, snapshot: good }),
      /a snapshot needs a clock/,
    );
  });
});
