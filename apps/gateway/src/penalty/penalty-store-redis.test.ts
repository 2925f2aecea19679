import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { ANONYMOUS } from "@tidegate/auth";
import { manualClock, systemClock, systemRandom, type ManualClock } from "@tidegate/clock";
import { startRedis, waitFor, type Redis } from "@tidegate/testkit";
import fc from "fast-check";
import { penaltyKeyOf } from "./penalty-key.ts";
import { connectRedis } from "@tidegate/limits/redis";
import { ada, lookAt, penaltyStoreContract } from "./penalty-store.contract.ts";
import type { PenaltyStore } from "./penalty-store.ts";
import { EmbeddedPenalties } from "./penalty-store-embedded.ts";
import { RedisPenalties, type RedisPenaltyOptions } from "./penalty-store-redis.ts";

let redis: Redis;
let prefixes = 0;
before(async () => {
  redis = await startRedis();
});
after(() => redis[Symbol.asyncDispose]());

const freshPrefix = (): string => `test${++prefixes}`;

async function openNode(
  options: Partial<RedisPenaltyOptions> & Pick<RedisPenaltyOptions, "prefix">,
): Promise<RedisPenalties> {
  const node = new RedisPenalties({
    url: redis.url,
    clock: systemClock,
    random: systemRandom,
    maxPenalties: 1_024,
    ...options,
  });
  await waitFor(() => node.isCurrent, { what: "the node to hear of everything" });
  return node;
}

const isBoxed = (node: RedisPenalties, key = ada): boolean => node.isBoxed(node.name(key));
const address = (number: number) => penaltyKeyOf(ANONYMOUS, `10.${number >> 8}.${number & 255}.1`);

/** Hours pass at once for penalties, while the connection lives in the time of the machine. */
const openInTimeOf = (clock: ManualClock): Promise<RedisPenalties> =>
  openNode({
    prefix: freshPrefix(),
    clock: {
      monotonicMs: () => clock.monotonicMs(),
      wallMs: () => clock.wallMs(),
      after: () => ({ cancel() {} }),
    },
    serverMs: () => clock.wallMs(),
  });

penaltyStoreContract("Redis store", async (clock) => {
  const store = await openInTimeOf(clock);
  return { store, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() };
});

describe("RedisPenalties", () => {
  test("the script decides as the rules do, strike by strike and hour by hour", async () => {
    const who = ["web", "phone"].map((client) =>
      penaltyKeyOf(
        { ...ANONYMOUS, kind: "person", issuer: "https://idp.example/", subject: "ada", client },
        "192.0.2.1",
      ),
    );
    const robot = { ...ANONYMOUS, kind: "client", issuer: "i", client: "robot" } as const;
    who.push(penaltyKeyOf(robot, ""), address(1));
    const step = fc.record({
      who: fc.integer({ min: 0, max: who.length - 1 }),
      passedMs: fc.oneof(
        fc.integer({ min: 0, max: 200_000 }),
        fc.integer({ min: 0, max: 8_000_000 }),
      ),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const clock = manualClock(1_800_000_000_000);
        await using shared = await openInTimeOf(clock);
        using alone = new EmbeddedPenalties({ file: ":memory:", clock, random: systemRandom });
        for (const { who: index, passedMs } of steps) {
          clock.advance(passedMs);
          const key = who[index]!;
          assert.deepEqual(await shared.strike(key, "calls"), await alone.strike(key, "calls"));
          // Strikes that decayed may be shown or not, as long as nobody is refused for them.
          const seen = (store: PenaltyStore) =>
            who.map((each) => {
              const { isBoxed: isIn, retryAfterMs, strikes, ...rest } = lookAt(store, each);
              return [isIn, retryAfterMs, rest.reauthenticateAfterMs, isIn ? strikes : 0];
            });
          assert.deepEqual(seen(shared), seen(alone));
        }
      }),
      { numRuns: 15 },
    );
  });

  test("another node knows of a penalty and of its lift within a second", async () => {
    const prefix = freshPrefix();
    await using one = await openNode({ prefix });
    await using other = await openNode({ prefix });
    const { epoch } = other;
    await one.strike(ada, "calls");
    await waitFor(() => isBoxed(other), { what: "the penalty", deadlineMs: 1_000 });
    assert.notEqual(other.epoch, epoch);
    assert.equal((await other.list(10))[0]?.reason, "calls");
    assert.deepEqual(await other.strike(ada, "calls"), { outcome: "already-boxed" });
    assert.equal(await other.lift(ada.narrow), true);
    await waitFor(() => !isBoxed(one), { what: "the lift", deadlineMs: 1_000 });
  });

  test("a node that starts later, or lost its connection meanwhile, knows all of it", async () => {
    const prefix = freshPrefix();
    await using one = await openNode({ prefix });
    for (let number = 0; number < 500; number++) await one.strike(address(number), "calls");
    await one.lift(address(7).narrow);
    await using later = await openNode({ prefix });
    for (let number = 0; number < 500; number++)
      assert.equal(isBoxed(later, address(number)), number !== 7);
  });

  test("bounds hold on the server too: addresses spill, people still have room", async () => {
    await using node = await openNode({ prefix: freshPrefix(), maxPenalties: 64 });
    const outcomes: string[] = [];
    for (let number = 0; number < 42; number++) {
      const struck = await node.strike(address(number), "calls");
      outcomes.push(struck.outcome === "boxed" ? struck.entry.key.slice(2, 9) : struck.outcome);
    }
    assert.deepEqual(outcomes.slice(0, 32), Array(32).fill("address"));
    assert.deepEqual(outcomes.slice(32), [...Array(8).fill("network"), "full", "full"]);
    assert.equal((await node.strike(ada, "calls")).outcome, "boxed");
  });

  test("a server that is away, or comes back empty: nobody comes out, and it gets what nodes know", async () => {
    const failures: Error[] = [];
    const own = await startRedis();
    const options = {
      prefix: "p",
      url: own.url,
      onFailure: (error: Error) => failures.push(error),
    };
    await using node = await openNode(options);
    await node.strike(ada, "calls");
    await own[Symbol.asyncDispose]();
    await assert.rejects(node.strike(address(1), "calls"), /Cannot share a penalty/);
    await assert.rejects(node.lift(ada.narrow));
    assert.equal(isBoxed(node), true);
    assert.equal(isBoxed(node, address(1)), true);
    assert.equal(isBoxed(node, address(2)), false);
    await waitFor(() => !node.isCurrent, { what: "the loss to be noticed" });
    assert.equal(failures.length, 1);

    await using _again = await startRedis({ args: ["--port", String(own.port)] });
    await waitFor(() => node.isCurrent, { what: "the new server to be used" });
    await using later = await openNode(options);
    for (const key of [ada, address(1)]) {
      assert.equal(isBoxed(later, key), true);
      const { retryAfterMs, strikes } = lookAt(later, key);
      assert.equal(strikes, 1);
      assert.ok(retryAfterMs > 20_000 && retryAfterMs < 31_000, `${retryAfterMs} ms`);
    }
    assert.equal(
      Math.abs(lookAt(later, ada).reauthenticateAfterMs - systemClock.wallMs()) < 1e4,
      true,
    );
    assert.equal(await later.lift(ada.narrow), true);
    await waitFor(() => !isBoxed(node), { what: "the lift", deadlineMs: 1_000 });
  });

  test("a server that freezes: the strike is answered in time, and known everywhere when it wakes", async () => {
    await using own = await startRedis();
    const options = { prefix: "p", url: own.url };
    await using one = await openNode(options);
    await using other = await openNode(options);
    own.process.signal("SIGSTOP");
    const beganMs = performance.now();
    await assert.rejects(one.strike(ada, "calls"));
    assert.ok(performance.now() - beganMs < 2_000);
    assert.equal(isBoxed(one), true);
    own.process.signal("SIGCONT");
    await waitFor(() => isBoxed(other), { what: "the penalty", deadlineMs: 5_000 });
    assert.equal(lookAt(other, ada).strikes, 1);
    assert.equal(lookAt(one, ada).strikes, 1);
  });

  test("scripts that the server forgot are sent again", async () => {
    await using node = await openNode({ prefix: freshPrefix() });
    await node.strike(address(1), "calls");
    await using server = await openServerCommands();
    await server.command(["SCRIPT", "FLUSH"]);
    assert.equal((await node.strike(ada, "calls")).outcome, "boxed");
  });
});

async function openServerCommands() {
  const { promise, resolve } = Promise.withResolvers<void>();
  const connection = connectRedis({
    url: redis.url,
    jitter: () => 0,
    events: { connected: resolve },
  });
  await promise;
  return connection;
}
