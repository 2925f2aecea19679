import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { manualClock, systemRandom, type Random } from "@tidegate/clock";
import { createKeyedLimiter } from "./keyed-limiter.ts";
import type { LimitDefinition } from "./limit-definition.ts";

const noJitter: Random = { ...systemRandom, unit: () => 0 };

function open(...definitions: LimitDefinition[]) {
  const clock = manualClock(5_000);
  return { clock, limits: createKeyedLimiter({ definitions, clock, random: noJitter }) };
}

const account: LimitDefinition = { kind: "window", name: "account", limit: 2, seconds: 60 };
const network: LimitDefinition = {
  kind: "bucket",
  name: "network",
  count: 1,
  seconds: 1,
  burst: 3,
};

describe("createKeyedLimiter()", () => {
  test("take() refuses after the last unit and says when the next one comes", () => {
    const { clock, limits } = open(account);
    assert.equal(limits.take("ada").remaining, 1);
    clock.advance(10_000);
    assert.equal(limits.take("ada").remaining, 0);
    const refused = limits.take("ada");
    assert.deepEqual(refused, {
      isAdmitted: false,
      isImpossible: false,
      retryAfterMs: 50_000,
      remaining: 0,
      violated: ["account"],
      fields: {
        "RateLimit-Policy": '"account";q=2;w=60',
        RateLimit: '"account";r=0;t=50',
        "Retry-After": "50",
      },
    });
    clock.advance(50_000);
    assert.equal(limits.take("ada").isAdmitted, true);
  });

  test("take() of several limits with their own keys spends of all or of none", () => {
    const { limits } = open(account, network);
    for (let unit = 0; unit < 2; unit++) limits.take({ account: "ada", network: "192.0.2.1" });
    assert.deepEqual(limits.take({ account: "ada", network: "192.0.2.1" }).violated, ["account"]);
    // The network's last unit was not spent on Ada's refusal, nor is the account asked when not named.
    assert.equal(limits.take({ network: "192.0.2.1" }).isAdmitted, true);
    assert.deepEqual(limits.take({ account: "grace", network: "192.0.2.1" }).violated, ["network"]);
    assert.equal(limits.peek({ account: "grace" }).remaining, 2);
  });

  test("take() of more than a limit can ever give is impossible, and names no time to come back", () => {
    const { limits } = open(account, network);
    const decision = limits.take("ada", 3);
    assert.equal(decision.isImpossible, true);
    assert.equal(decision.retryAfterMs, Number.POSITIVE_INFINITY);
    assert.equal(decision.fields["Retry-After"], undefined);
    assert.deepEqual(decision.violated, ["account"]);
    assert.equal(limits.take("ada", 2).isAdmitted, true);
  });

  test("admits() decides as take() does, for more callers than are remembered too", () => {
    const { limits } = open(account);
    for (let round = 0; round < 4; round++) {
      for (let key = 0; key < 30_000; key++) {
        assert.equal(limits.admits(`key ${key}`), round < 2);
      }
    }
    assert.equal(limits.take("key 7").isAdmitted, false);
    assert.equal(limits.admits({ account: "ada" }, 3), false);
  });

  test("admits() and take() count a day's quota, on the clock they are given", () => {
    const { clock, limits } = open({ kind: "quota", name: "q", limit: 2, period: "day" });
    assert.equal(limits.admits("ada"), true);
    assert.equal(limits.take("ada").fields["RateLimit"], '"q";r=0;t=86395');
    assert.equal(limits.admits("ada"), false);
    clock.advance(86_395_000);
    assert.equal(limits.admits("ada"), true);
  });

  test("take() refuses costs that are no whole numbers", () => {
    const { limits } = open(account);
    for (const cost of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31]) {
      assert.throws(() => limits.take("ada", cost), /whole number/);
    }
    assert.throws(() => limits.take({}), /name no limit/);
  });

  test("createKeyedLimiter() names every mistake of every definition in one message", () => {
    const make = () =>
      open(
        { ...account, limit: 0, seconds: Number.NaN },
        { ...network, name: "a\r\nb", burst: 2.5 },
        { ...account, limit: 5_000, precision: "exact" },
        { ...network, count: 1, seconds: 3_600, burst: 100_000 },
        JSON.parse('{"kind":"leaky","name":"x","seconds":1}') as LimitDefinition,
      );
    assert.throws(make, (error: Error) => {
      for (const expected of [
        /definitions\[0\]\.limit is 0: must be a whole number from 1/,
        /definitions\[0\]\.seconds is NaN/,
        /definitions\[1\]\.name is "a\\r\\nb": must be 1 to 64 printable ASCII/,
        /definitions\[1\]\.burst is 2\.5/,
        /definitions\[2\]\.limit is 5000: precision "exact" allows at most 4096/,
        /definitions\[3\]\.burst is 100000: must refill within/,
        /definitions\[4\]\.kind is "leaky"/,
      ]) {
        assert.match(error.message, expected);
      }
      return error instanceof RangeError;
    });
    assert.throws(() => open(account, account), /names must differ/);
    assert.throws(
      () => open({ kind: "concurrency", name: "c", limit: 1 }),
      /in flight is reserved and finished/,
    );
  });
});
