// Longer than 400 lines: what one limiter over one real server promises, with the one set-up that all of it needs.
// Runs alone: leases are refilled within milliseconds here, and other tests' work beside it would be taken for a stall.

import assert from "node:assert/strict";
import { setTimeout as pass } from "node:timers/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { after, before, describe, test } from "node:test";
import { manualClock, systemClock, systemRandom } from "@tidegate/clock";
import { startProcess, startRedis, waitFor, type Redis } from "@tidegate/testkit";
import type { LimitDefinition } from "../src/limit-definition.ts";
import { createLimitReport } from "../src/limiter.ts";
import {
  createSharedLimiter,
  createSharedReservation,
  PENDING,
  RedisStore,
  SHARED_OUTCOME,
  type SharedLimiter,
  type WhenStoreLost,
} from "../src/redis/index.ts";
import { callerOf, openNode as openNodeAt, type NodeOptions } from "./limiter-nodes.ts";

const { admitted, refused, impossible, unavailable } = SHARED_OUTCOME;
const window = (limit: number, seconds = 60, name = "w"): LimitDefinition =>
  ({ kind: "window", name, limit, seconds }) as const;
const bucket = (count: number, burst: number, name = "b"): LimitDefinition =>
  ({ kind: "bucket", name, count, seconds: 1, burst }) as const;

let redis: Redis;
let opened = 0;
before(async () => void (redis = await startRedis()));
after(() => redis[Symbol.asyncDispose]());

const openNode = (definitions: readonly LimitDefinition[], options: NodeOptions = {}) =>
  openNodeAt(redis.url, definitions, options);

const until = (condition: () => boolean, what: string) =>
  waitFor(condition, { what, deadlineMs: 5_000 });

describe("a small limit", () => {
  test("is one limit over two nodes, one round trip for each admitted call", async () => {
    const prefix = "small";
    await using one = await openNode([window(5)], { prefix });
    await using other = await openNode([window(5)], { prefix });
    const [left, right] = [callerOf(one, "ada"), callerOf(other, "ada")];
    const outcomes: number[] = [];
    for (let call = 0; call < 6; call++) outcomes.push(await (call % 2 ? left : right).acquire(1));
    assert.deepEqual(outcomes, [0, 0, 0, 0, 0, 1]);
    assert.ok(left.report.retryAfterMs > 55_000);
    const asked = one.statistics().store.asked + other.statistics().store.asked;
    // Five admitted, one that was told to wait, and the script loaded.
    assert.ok(asked <= 7, `${asked} commands`);
  });

  test("that is spent refuses a flood without a single command", async () => {
    await using node = await openNode([window(5)]);
    const caller = callerOf(node, "ada");
    assert.equal(await caller.acquire(5), admitted);
    assert.equal(await caller.acquire(1), refused);
    const { asked } = node.statistics().store;
    for (let call = 0; call < 100_000; call++) assert.equal(caller.try(1), refused);
    assert.equal(node.statistics().store.asked, asked);
    assert.ok(caller.report.retryAfterMs > 50_000 && caller.report.violated[0] === 0);
  });

  test("refuses a cost above its capacity as impossible, and callers are told apart", async () => {
    await using node = await openNode([window(5)]);
    const caller = callerOf(node, "ada");
    assert.equal(await caller.acquire(6), impossible);
    assert.equal(caller.report.retryAfterMs, Number.POSITIVE_INFINITY);
    assert.equal(await caller.acquire(5), admitted);
    assert.equal(await callerOf(node, "grace").acquire(5), admitted);
    assert.equal(caller.try(0), admitted);
  });

  for (const definition of [
    window(2),
    bucket(1, 2),
    { kind: "quota", name: "q", limit: 2, period: "day" } as const,
  ]) {
    test(`gives back what a later stage refused (${definition.kind})`, async () => {
      await using node = await openNode([definition]);
      const caller = callerOf(node, "ada");
      const first = createSharedReservation();
      assert.equal(await caller.reserve(first, 2), admitted);
      assert.equal(await caller.acquire(1), refused);
      node.refund(first, systemClock.monotonicMs());
      node.refund(first, systemClock.monotonicMs());
      assert.equal(await caller.acquire(2), admitted);
      assert.equal(await caller.acquire(1), refused);
      const second = createSharedReservation();
      assert.equal(await caller.reserve(second, 1), refused);
      node.settle(second, systemClock.monotonicMs());
    });
  }

  test("asked for by a hundred calls at once admits exactly its number", async () => {
    await using node = await openNode([window(40)], { isDirect: true });
    const caller = callerOf(node, "ada");
    const outcomes = await Promise.all(Array.from({ length: 100 }, () => caller.acquire(1)));
    assert.equal(outcomes.filter((outcome) => outcome === admitted).length, 40);
  });
});

describe("a busy caller", () => {
  test("is admitted from leases: no call waits, and commands do not grow with calls", async () => {
    await using node = await openNode([bucket(100_000_000, 100_000_000)]);
    const caller = callerOf(node, "ada");
    const spend = async (forMs: number): Promise<{ calls: number; waited: number }> => {
      let calls = 0;
      let waited = 0;
      const endMs = systemClock.monotonicMs() + forMs;
      while (systemClock.monotonicMs() < endMs) {
        for (let call = 0; call < 20; call++, calls++) {
          const outcome = caller.try(1);
          if (outcome === PENDING) waited += await caller.acquire(1).then(() => 1);
          else assert.equal(outcome, admitted);
        }
        await new Promise((resolve) => void setImmediate(resolve));
      }
      return { calls, waited };
    };
    // Until its rate is known.
    await spend(300);
    const { asked } = node.statistics().store;
    const { calls, waited } = await spend(600);
    const commands = node.statistics().store.asked - asked;
    assert.ok(calls / commands > 100, `${commands} commands for ${calls} calls`);
    // None, unless the machine itself stood still for longer than a lease.
    assert.ok(waited <= 2, `${waited} of ${calls} calls waited`);
  });

  test("does not notice a server that stands still for a tenth of a second", async () => {
    await using node = await openNode([bucket(100_000, 100_000)]);
    const caller = callerOf(node, "ada");
    const spend = async (forMs: number): Promise<number> => {
      let waited = 0;
      const endMs = systemClock.monotonicMs() + forMs;
      while (systemClock.monotonicMs() < endMs) {
        for (let call = 0; call < 5; call++)
          if (caller.try(1) === PENDING) waited += await caller.acquire(1).then(() => 1);
        await new Promise((resolve) => void setTimeout(resolve, 2));
      }
      return waited;
    };
    await spend(300);
    const args = ["-p", String(redis.port), "CLIENT", "PAUSE", "100", "ALL"];
    const waits: number[] = [];
    // The machine may itself stand still for longer; of three times it does so in few.
    for (let stall = 0; stall < 3; stall++) {
      const pause = startProcess({ command: "redis-cli", args });
      waits.push(await spend(400));
      await using cli = await pause;
      assert.equal((await cli.exited()).code, 0);
    }
    assert.ok(waits.includes(0), `calls that waited: ${waits.join(", ")}`);
    assert.equal(node.statistics().store.losses, 0);
  });

  test("that falls silent hands back all it did not spend, before the store would count it as spent", async () => {
    const prefix = "silent";
    await using one = await openNode([window(1_000)], { prefix });
    await using other = await openNode([window(1_000)], { prefix, isDirect: true });
    const busy = callerOf(one, "ada");
    let spent = 0;
    // A burst as that of many connections at once: the rate it leaves behind takes long to fall.
    while (one.statistics().leasedUnits < 100 && spent < 800)
      if ((await busy.acquire(1)) === admitted) spent++;
    assert.ok(one.statistics().leasedUnits >= 100);
    await waitFor(async () => (await callerOf(other, "ada").acquire(1_000 - spent)) === admitted, {
      what: "every unit that was not spent",
      deadlineMs: 5_000,
      everyMs: 50,
    });
  });

  test("that stops hands its lease back at once", async () => {
    const prefix = "idle";
    const one = await openNode([window(100)], { prefix });
    await using other = await openNode([window(100)], { prefix, isDirect: true });
    const busy = callerOf(one, "ada");
    let spent = 0;
    while (one.statistics().leasesGranted === 0 || one.statistics().leasedUnits === 0)
      if ((await busy.acquire(1)) === admitted) spent++;
    assert.ok(spent < 50);
    await one[Symbol.asyncDispose]();
    assert.equal(await callerOf(other, "ada").acquire(100 - spent), admitted);
  });

  test("spends nothing of leases after the process was suspended", async () => {
    const clock = manualClock(1_000);
    const prefix = `suspended${++opened}`;
    await using node = await openSuspended(clock, prefix);
    const handles = Int32Array.of(node.intern(0, "ada"));
    const costs = Int32Array.of(1);
    const report = createLimitReport();
    const { signal } = new AbortController();
    const call = () => node.acquire(handles, costs, 1, clock.monotonicMs(), report);
    for (let at = 0; at < 5; at++)
      if (call() === PENDING)
        await node.acquireRemote(handles, costs, 1, report, undefined, signal);
    assert.ok(node.statistics().leasedUnits > 0);
    // The machine slept for a minute: only the wall clock knows.
    clock.stepWall(60_000);
    clock.advance(50);
    assert.equal(node.statistics().leasedUnits, 0);
    assert.equal(node.statistics().suspends, 1);
    for (const stepMs of [-30_000, 30_000]) {
      clock.stepWall(stepMs);
      clock.advance(50);
    }
    assert.equal(node.statistics().suspends, 3);
  });

  async function openSuspended(
    clock: ReturnType<typeof manualClock>,
    prefix: string,
  ): Promise<SharedLimiter> {
    const store = new RedisStore({
      url: redis.url,
      clock,
      random: systemRandom,
      node: "sleeper",
      prefix,
      whenEmpty: "grant",
      whenRestarted: "learn",
    });
    const limits = new Map([
      [0, { definition: bucket(1_000, 1_000), whenStoreLost: "deny" } as const],
    ]);
    const limiter = createSharedLimiter({
      limits,
      store,
      clock,
      random: systemRandom,
      prefix,
      nodes: 1,
    });
    await until(() => store.isUp, "the store");
    return limiter;
  }
});

describe("a set of limits", () => {
  test("of one caller is taken all or nothing in one command", async () => {
    await using node = await openNode([window(5), bucket(1, 3)]);
    const caller = callerOf(node, "ada", [0, 1]);
    assert.equal(await caller.acquire(1, 3), admitted);
    const { asked } = node.statistics().store;
    assert.equal(await caller.acquire(1, 2), refused);
    assert.equal(node.statistics().store.asked, asked + 1);
    assert.deepEqual([caller.report.violatedCount, caller.report.violated[0]], [1, 1]);
    assert.equal(await callerOf(node, "ada", [0]).acquire(4), admitted);
  });

  test("of several callers is cancelled where it was taken when one refuses", async () => {
    await using node = await openNode([window(5, 60, "a"), bucket(1, 5, "b"), window(1, 60, "c")]);
    // Twenty pairs lie under different tags nearly surely.
    for (let pair = 0; pair < 20; pair++) {
      const keys = [`user ${pair}`, `tenant ${pair}`, "everybody"];
      const caller = callerOf(node, keys, [0, 1, 2]);
      const outcome = await caller.acquire(5, 5, 1);
      assert.equal(outcome, pair === 0 ? admitted : refused);
      const alone = await callerOf(node, keys, [0, 1]).acquire(5, 5);
      assert.equal(alone, pair === 0 ? refused : admitted, `pair ${pair}`);
    }
  });

  test("with a local limit is taken all or nothing, whichever refuses", async () => {
    await using node = await openNode([window(5, 60, "shared"), window(3, 60, "local")], {
      local: [1],
    });
    const caller = callerOf(node, "ada", [0, 1]);
    assert.equal(await caller.acquire(1, 3), admitted);
    const { asked } = node.statistics().store;
    assert.equal(await caller.acquire(1, 1), refused);
    assert.equal(node.statistics().store.asked, asked, "the local refusal spares the round trip");
    assert.deepEqual([caller.report.violated[0], caller.report.remaining[1]], [1, 0]);
    assert.equal(await callerOf(node, "ada", [0]).acquire(4), admitted);
    const grace = callerOf(node, ["ada", "grace"], [0, 1]);
    assert.equal(await grace.acquire(1, 1), refused);
    assert.equal(
      await callerOf(node, "grace", [1]).acquire(3),
      admitted,
      "the local units came back",
    );
  });

  test("that names one caller twice checks both costs against the same units", async () => {
    await using node = await openNode([window(5)]);
    const caller = callerOf(node, ["ada", "ada"], [0, 0]);
    assert.equal(await caller.acquire(3, 3), impossible);
    assert.equal(await caller.acquire(2, 2), admitted);
    assert.equal(await caller.acquire(1, 1), refused);
    assert.equal(await caller.acquire(1, 0), admitted);
  });
});

describe("while the store is lost", () => {
  async function openLost(
    definition: LimitDefinition,
    whenStoreLost: WhenStoreLost,
    nodes: number,
  ) {
    const own = await startRedis();
    const states: string[] = [];
    const node = await openNode([definition], { url: own.url, whenStoreLost, nodes, states });
    assert.equal(await callerOf(node, "ada").acquire(1), admitted);
    await own[Symbol.asyncDispose]();
    await until(() => states.at(-1) === "lost", "the loss to be noticed");
    return { node, states };
  }

  const count = async (node: SharedLimiter, calls: number, key: string): Promise<number> => {
    const caller = callerOf(node, key);
    let sum = 0;
    for (let call = 0; call < calls; call++) if ((await caller.acquire(1)) === admitted) sum++;
    return sum;
  };

  for (const [whenStoreLost, expected] of [
    ["deny", 0],
    ["share", 5],
    ["local", 25],
    ["open", 200],
  ] as const) {
    test(`"${whenStoreLost}" admits ${expected} of 200 calls on one of four nodes that share 100; no call waits`, async () => {
      const { node, states } = await openLost(window(100), whenStoreLost, 4);
      const caller = callerOf(node, "grace");
      assert.notEqual(caller.try(1), PENDING);
      const first = whenStoreLost === "deny" ? 0 : 1;
      assert.equal(first + (await count(node, 199, "grace")), expected);
      const { whileLost, store } = node.statistics();
      assert.equal(whileLost[whenStoreLost], 200);
      assert.deepEqual([store.state, store.losses, states], ["lost", 1, ["up", "lost"]]);
      if (expected < 200) {
        assert.equal(caller.try(1), unavailable);
        assert.ok(caller.report.retryAfterMs >= 1_000);
      }
      await node[Symbol.asyncDispose]();
    });
  }

  test('what "share" keeps back is never handed out by the store', async () => {
    await using node = await openNode([window(100)], {
      whenStoreLost: "share",
      nodes: 4,
      isDirect: true,
    });
    const caller = callerOf(node, "ada");
    assert.equal(await caller.acquire(80), admitted);
    assert.equal(await caller.acquire(1), refused);
  });

  test("it is found again by a probe, not by calls", async () => {
    const own = await startRedis();
    const states: string[] = [];
    await using node = await openNode([bucket(1_000, 1_000)], { url: own.url, states });
    own.process.signal("SIGSTOP");
    // Nothing answers; calls give up one after the other until the breaker opens, and from then on none waits.
    const caller = callerOf(node, "ada");
    await until(() => {
      void caller.acquire(1);
      return states.at(-1) === "lost";
    }, "the breaker to open");
    for (let call = 0; call < 1_000; call++) assert.notEqual(caller.try(1), PENDING);
    own.process.signal("SIGCONT");
    await until(() => states.at(-1) === "up", "the store to be found again");
    await own[Symbol.asyncDispose]();
  });

  test("it is found by a node that began while it stood still, after the first question got no answer", async () => {
    await using own = await startRedis();
    const states: string[] = [];
    own.process.signal("SIGSTOP");
    const opening = openNode([window(5)], { url: own.url, states });
    // Longer than the first question is waited for.
    await pass(600);
    own.process.signal("SIGCONT");
    await using node = await opening;
    assert.deepEqual(states, ["lost", "up"]);
    assert.equal(await callerOf(node, "ada").acquire(1), admitted);
  });

  test("a call whose connection is cut between execution and reply is executed once and not again", async () => {
    await using proxy = await openProxy(redis.port);
    const prefix = "cut";
    const states: string[] = [];
    await using node = await openNode([window(5)], {
      url: `redis://127.0.0.1:${proxy.port}`,
      prefix,
      states,
      isDirect: true,
    });
    await using witness = await openNode([window(5)], { prefix, isDirect: true });
    const caller = callerOf(node, "ada");
    assert.equal(await caller.acquire(1), admitted);
    proxy.cutAtNextReply();
    assert.equal(await caller.acquire(1), unavailable);
    await until(() => states.at(-1) === "up", "a new connection");
    // One admitted, one spent for nobody: three are left, whatever was resent.
    const other = callerOf(witness, "ada");
    assert.equal(await other.acquire(4), refused);
    assert.equal(await other.acquire(3), admitted);
  });

  test("whoever gives up gets no admission, and what was granted for them comes back", async () => {
    await using node = await openNode([window(5)]);
    const caller = callerOf(node, "ada");
    const controller = new AbortController();
    const asked = node.acquireRemote(
      caller.handles,
      Int32Array.of(5),
      1,
      caller.report,
      undefined,
      controller.signal,
    );
    controller.abort();
    assert.equal(await asked, unavailable);
    assert.equal(await caller.acquire(5), admitted);
  });
});

describe("the server", () => {
  test("in cluster mode takes every command: keys of a script share a slot and are declared", async () => {
    await using cluster = await startRedis({ args: ["--cluster-enabled", "yes"] });
    const slots = ["-p", String(cluster.port), "CLUSTER", "ADDSLOTSRANGE", "0", "16383"];
    await using cli = await startProcess({ command: "redis-cli", args: slots });
    await cli.exited();
    const states: string[] = [];
    await using node = await openNode(
      [window(50), bucket(10, 50), { kind: "quota", name: "q", limit: 50, period: "day" }],
      {
        url: cluster.url,
        states,
      },
    );
    await until(() => states.includes("up"), "the cluster");
    let sum = 0;
    const endMs = systemClock.monotonicMs() + 3_000;
    // A cluster says CLUSTERDOWN until it has counted its slots.
    while (sum < 30 && systemClock.monotonicMs() < endMs) {
      const keys = [`a${sum}`, `b${sum}`, `c${sum}`];
      if ((await callerOf(node, keys, [0, 1, 2]).acquire(1, 1, 1)) === admitted) sum++;
      else await new Promise((resolve) => void setTimeout(resolve, 20));
    }
    assert.equal(sum, 30);
  });

  test("is never told a caller's name, and forgets who is idle", async () => {
    await using own = await startRedis();
    await using node = await openNode([window(5, 1)], { url: own.url });
    assert.equal(await callerOf(node, "ada@example.com").acquire(1), admitted);
    await using cli = await startProcess({
      command: "redis-cli",
      args: ["-p", String(own.port), "KEYS", "*"],
    });
    await cli.exited();
    assert.ok(!cli.stdout().includes("ada"));
    assert.equal(cli.stdout().trim().split("\n").length, 2);
  });
});

describe("handles", () => {
  test("have a bound: idle callers make room, and when none is idle a new one is refused", async () => {
    await using node = await openNode([window(5)], { maxAccounts: 100 });
    const handles = Array.from({ length: 100 }, (_, at) => node.intern(0, `caller ${at}`));
    assert.equal(node.intern(0, "one more"), -1);
    assert.equal(
      node.acquire(
        Int32Array.of(-1),
        Int32Array.of(1),
        1,
        systemClock.monotonicMs(),
        createLimitReport(),
      ),
      refused,
    );
    for (const handle of handles) node.release(handle);
    assert.ok(node.intern(0, "one more") > 0);
    assert.throws(() => {
      for (let again = 0; again < 2; again++) node.release(handles[50]!);
    });
  });
});

/** Passes bytes on, and can cut both sides when the next reply is about to pass. */
async function openProxy(
  port: number,
): Promise<{ port: number; cutAtNextReply(): void } & AsyncDisposable> {
  let isCutting = false;
  const sockets = new Set<Socket>();
  const server: Server = createServer((client) => {
    const upstream = connect(port, "127.0.0.1");
    sockets.add(client).add(upstream);
    client.pipe(upstream);
    upstream.on("data", (chunk) => {
      if (!isCutting) return void client.write(chunk);
      isCutting = false;
      client.destroy();
      upstream.destroy();
    });
    for (const socket of [client, upstream]) socket.on("error", () => undefined);
    client.on("close", () => upstream.destroy());
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as { port: number }).port,
    cutAtNextReply: () => void (isCutting = true),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => void server.close(() => resolve()));
    },
  };
}
