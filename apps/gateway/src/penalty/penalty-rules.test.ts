import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  FIRST_PENALTY_MS,
  isBoxed,
  isForgotten,
  LONGEST_PENALTY_MS,
  penaltyMs,
  SIGN_IN_DUTY_MS,
  strike,
  STRIKE_DECAY_MS,
  strikesLeft,
  SUSPENDED,
  type Penalty,
} from "./penalty-rules.ts";
import type { PenaltyKind } from "./penalty-key.ts";

const HOUR = STRIKE_DECAY_MS;
const kinds: readonly PenaltyKind[] = ["person", "key", "client", "address"];

const penalty = (over: Partial<Penalty> = {}): Penalty => ({
  kind: "person",
  strikes: 1,
  countedAtMs: 0,
  untilMs: 30_000,
  startedMs: 0,
  reason: "calls",
  ...over,
});

/** The caller's two keys, as a store keeps them. */
interface Keys {
  narrow: Penalty | undefined;
  wide: Penalty | undefined;
}

function strikeAt(keys: Keys, kind: PenaltyKind, nowMs: number): string {
  const struck = strike(keys, { kind, reason: "calls", nowMs, wallMs: nowMs });
  if (struck.outcome === "already-boxed") return "already-boxed";
  if (struck.place === "wide") {
    keys.wide = struck.penalty;
    keys.narrow = undefined;
  } else keys.narrow = struck.penalty;
  return struck.place;
}

const latest = ({ narrow, wide }: Keys): Penalty =>
  (narrow?.startedMs ?? -1) > (wide?.startedMs ?? -1) ? (narrow as Penalty) : (wide as Penalty);

describe("penaltyMs()", () => {
  test("doubles from 30 s, and is never more than an hour", () => {
    assert.deepEqual([1, 2, 3, 7, 8, 100].map(penaltyMs), [
      30_000,
      60_000,
      120_000,
      1_920_000,
      LONGEST_PENALTY_MS,
      LONGEST_PENALTY_MS,
    ]);
  });
});

describe("strike()", () => {
  test("leaves who is boxed alone: a penalty is never made longer", () => {
    fc.assert(
      fc.property(fc.constantFrom(...kinds), fc.integer({ min: 0, max: 29_999 }), (kind, atMs) => {
        const keys: Keys = { narrow: undefined, wide: undefined };
        strikeAt(keys, kind, 0);
        const before = structuredClone(keys);
        assert.equal(strikeAt(keys, kind, atMs), "already-boxed");
        assert.deepEqual(keys, before);
      }),
    );
  });

  test("the third strike of a person boxes the person, whatever client; the narrow key is forgotten", () => {
    const keys: Keys = { narrow: undefined, wide: undefined };
    assert.deepEqual(
      [0, 100_000, 200_000].map((atMs) => strikeAt(keys, "person", atMs)),
      ["narrow", "narrow", "wide"],
    );
    assert.equal(keys.narrow, undefined);
    assert.equal(keys.wide?.strikes, 3);
    // Another client of the same person.
    const other: Keys = { narrow: undefined, wide: keys.wide };
    assert.equal(strikeAt(other, "person", 400_000), "wide");
    assert.equal(other.wide?.strikes, 4);
  });

  test("only persons are widened, unless there is no room", () => {
    for (const kind of ["key", "client", "address"] as const) {
      const keys: Keys = { narrow: undefined, wide: undefined };
      for (let count = 0; count < 4; count++)
        assert.equal(strikeAt(keys, kind, count * 600_000), "narrow");
    }
    const struck = strike(
      { narrow: undefined, wide: undefined },
      { kind: "address", reason: "calls", nowMs: 0, wallMs: 0, isNarrowFull: true },
    );
    assert.equal(struck.outcome === "boxed" && struck.place, "wide");
  });

  test("keys and clients are suspended from the fifth strike; persons and addresses never are", () => {
    for (const kind of kinds) {
      const keys: Keys = { narrow: undefined, wide: undefined };
      for (let count = 0; count < 5; count++) strikeAt(keys, kind, count * 500_000);
      assert.equal(latest(keys).strikes, 5);
      assert.equal(latest(keys).untilMs === SUSPENDED, kind === "key" || kind === "client");
    }
  });

  test("the hour that runs goes on: a late strike does not delay the decay of the earlier ones", () => {
    const keys: Keys = { narrow: undefined, wide: undefined };
    strikeAt(keys, "address", 0);
    strikeAt(keys, "address", HOUR - 1);
    assert.equal(strikesLeft(keys.narrow, HOUR - 1), 2);
    assert.equal(strikesLeft(keys.narrow, HOUR), 1);
    assert.equal(strikesLeft(keys.narrow, 2 * HOUR), 0);
  });

  test("any traffic: one strike more than were left, the time that belongs to it, P now, decay by the hour", () => {
    const pause = fc.oneof(
      fc.integer({ min: 0, max: 120_000 }),
      fc.integer({ min: 0, max: 5 * HOUR }),
    );
    fc.assert(
      fc.property(
        fc.constantFrom(...kinds),
        fc.array(fc.record({ pause, client: fc.integer({ min: 0, max: 1 }) }), { maxLength: 40 }),
        (kind, strikes) => {
          let wide: Penalty | undefined;
          const narrow: (Penalty | undefined)[] = [undefined, undefined];
          let nowMs = 0;
          for (const { pause: passedMs, client } of strikes) {
            nowMs += passedMs;
            const keys: Keys = { narrow: narrow[client], wide };
            const left = Math.max(strikesLeft(keys.narrow, nowMs), strikesLeft(wide, nowMs));
            const wasBoxed = isBoxed(keys.narrow, nowMs) || isBoxed(wide, nowMs);
            const place = strikeAt(keys, kind, nowMs);
            narrow[client] = keys.narrow;
            wide = keys.wide;
            if (wasBoxed) {
              assert.equal(place, "already-boxed");
              continue;
            }
            const now = (place === "wide" ? keys.wide : keys.narrow) as Penalty;
            assert.equal(now.strikes, left + 1);
            assert.equal(strikesLeft(now, nowMs), left + 1);
            assert.equal(now.startedMs, nowMs);
            if (now.untilMs !== SUSPENDED) assert.equal(now.untilMs - nowMs, penaltyMs(left + 1));
            assert.ok(now.untilMs - nowMs >= FIRST_PENALTY_MS);
            // Forgetting goes one way, one at a time, and ends after as many hours.
            for (let hours = 0; hours <= left + 1; hours++)
              assert.ok(
                strikesLeft(now, nowMs + hours * HOUR) - (left + 1 - hours) <= 0 &&
                  strikesLeft(now, nowMs + hours * HOUR) >= Math.max(0, left - hours),
              );
          }
        },
      ),
    );
  });

  test("a strike more is never better for who gets it, at any later time", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 0, max: 10 * HOUR }),
        fc.integer({ min: 0, max: 10 * HOUR }),
        (strikes, strikeMs, laterMs) => {
          const before = penalty({ kind: "address", strikes, untilMs: 0 });
          const keys: Keys = { narrow: before, wide: undefined };
          strikeAt(keys, "address", strikeMs);
          const atMs = strikeMs + laterMs;
          assert.ok(strikesLeft(keys.narrow, atMs) >= strikesLeft(before, atMs));
        },
      ),
    );
  });
});

describe("strikesLeft()", () => {
  test("is never negative, and time that goes back forgets nothing", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), fc.double({ noNaN: true }), (strikes, nowMs) => {
        const left = strikesLeft(penalty({ strikes }), nowMs);
        assert.ok(left >= 0 && left <= strikes);
        if (nowMs < HOUR) assert.equal(left, strikes);
      }),
    );
  });
});

describe("isForgotten()", () => {
  test("a person is remembered as long as they may owe a sign-in; others as long as strikes are left", () => {
    assert.equal(isForgotten(penalty({ kind: "address" }), HOUR - 1, HOUR - 1), false);
    assert.equal(isForgotten(penalty({ kind: "address" }), HOUR, HOUR), true);
    assert.equal(isForgotten(penalty(), HOUR, HOUR), false);
    assert.equal(isForgotten(penalty(), SIGN_IN_DUTY_MS, SIGN_IN_DUTY_MS), true);
    assert.equal(isForgotten(penalty({ kind: "key", untilMs: SUSPENDED }), 1e15, 1e15), false);
  });
});
