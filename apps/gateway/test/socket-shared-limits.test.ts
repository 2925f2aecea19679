// Messages of sockets under limits that gateways share in one Redis: together never over, in order, charged once,
// whatever happens to the store or to the socket while its answer is awaited.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { startRedis, waitFor, type RawConnection, type Redis } from "@tidegate/testkit";
import { startGateway, type GatewayUnderTest } from "./http-harness.ts";
import {
  bare,
  masked,
  openClient,
  readClose,
  startRawUpstream,
  type RawUpstream,
} from "./socket-harness.ts";

type Options = Parameters<typeof startGateway>[0];
type SocketOptions = NonNullable<NonNullable<Options["routes"]>[number]["websocket"]>;
type Limit = NonNullable<SocketOptions["limits"]>[number];

/** As long as a busy test machine may need; who waits longer finds the store lost. */
const BUDGET_MS = 2_000;

const shared = (limit: number, more: Partial<Limit> = {}): Limit =>
  ({
    kind: "window",
    limit,
    seconds: 60,
    per: "route",
    store: "shared",
    exceed: "drop",
    ...more,
  }) as Limit;

function open(
  { url }: Pick<Redis, "url">,
  { port }: RawUpstream,
  limit: Limit,
  more: { websocket?: SocketOptions; threads?: number; budgetMs?: number } = {},
): Promise<GatewayUnderTest> {
  const { websocket = {}, threads = 0, budgetMs = BUDGET_MS } = more;
  return startGateway({
    targets: [`http://127.0.0.1:${port}`],
    threads,
    limitStore: { kind: "redis", url, gateways: 2, budgetMs, whenEmpty: "grant" },
    routes: [{ path: "/live", websocket: { limits: [limit], ...websocket } }],
  });
}

const numbered = (count: number, from = 0): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, at) => masked(`m${from + at}`)));

/** The texts that came to the upstream on a connection, of messages and fragments shorter than 126 bytes. */
function texts(upstream: RawUpstream, index = 0): string[] {
  const bytes = upstream.frames(index);
  const found: string[] = [];
  for (let at = 0; at + 6 <= bytes.length;) {
    const length = bytes[at + 1]! & 0x7f;
    const mask = bytes.subarray(at + 2, at + 6);
    const payload = bytes.subarray(at + 6, at + 6 + length).map((byte, i) => byte ^ mask[i & 3]!);
    if ((bytes[at]! & 0x0f) < 8) found.push(Buffer.from(payload).toString());
    at += 6 + length;
  }
  return found;
}

const seen = (upstream: RawUpstream, count: number, index = 0): Promise<boolean> =>
  waitFor(() => texts(upstream, index).length >= count, {
    what: `${count} messages on connection ${index} of the upstream`,
    deadlineMs: 10_000,
  });

/** Pings through the whole relay: what was sent before has been judged when its pong is back. */
async function settled(client: RawConnection, upstream: RawUpstream, index = 0): Promise<void> {
  const before = upstream.frames(index).length;
  await client.write(masked("!", { opcode: 9 }));
  await waitFor(() => upstream.frames(index).length > before && lastIsPing(upstream, index), {
    what: "the ping behind the messages",
    deadlineMs: 10_000,
  });
}

const lastIsPing = (upstream: RawUpstream, index: number): boolean =>
  upstream.frames(index).at(-7) === 0x89;

const freeze = ({ process }: Redis): void => process.signal("SIGSTOP");
const thaw = ({ process }: Redis): void => process.signal("SIGCONT");

describe("sockets of two gateways on one Redis", () => {
  for (const threads of [0, 2]) {
    test(`never exceed a limit together, and each keeps its order (${threads} workers each)`, async () => {
      await using redis = await startRedis();
      await using upstream = await startRawUpstream();
      await using one = await open(redis, upstream, shared(200), { threads });
      await using other = await open(redis, upstream, shared(200), { threads });
      await using a = await openClient(one);
      await using b = await openClient(other);
      await using c = await openClient(one);
      const clients = [a, b, c];
      for (let round = 0; round < 8; round += 1)
        await Promise.all(clients.map((client) => client.write(numbered(25, round * 25))));
      await Promise.all(clients.map((client, index) => settled(client, upstream, index)));
      const all = clients.map((_, index) => texts(upstream, index).filter((text) => text !== "!"));
      for (const own of all) {
        const numbers = own.map((text) => Number(text.slice(1)));
        assert.deepEqual(
          numbers,
          numbers.toSorted((x, y) => x - y),
        );
        assert.equal(new Set(numbers).size, numbers.length);
      }
      const passed = all.flat().length;
      assert.ok(passed <= 200, `${passed} of 200`);
      // What leases hold back comes free when nobody spends it.
      let more = 600;
      await waitFor(
        async () => {
          await a.write(numbered(4, more));
          more += 4;
          await settled(a, upstream, 0);
          return clients.flatMap((_, index) => texts(upstream, index)).length >= 180;
        },
        { what: "the rest of the limit", deadlineMs: 15_000, everyMs: 100 },
      );
      const total = clients.flatMap((_, index) => texts(upstream, index)).length;
      assert.ok(total <= 200, `${total} of 200`);
    });
  }

  test("are exact where each unit counts, in one write and over both", async () => {
    await using redis = await startRedis();
    await using upstream = await startRawUpstream();
    await using one = await open(redis, upstream, shared(5));
    await using other = await open(redis, upstream, shared(5));
    await using a = await openClient(one);
    await using b = await openClient(other);
    await a.write(numbered(3));
    await settled(a, upstream, 0);
    await b.write(numbered(4));
    await settled(b, upstream, 1);
    await a.write(numbered(2, 3));
    await settled(a, upstream, 0);
    assert.deepEqual(texts(upstream, 0), ["m0", "m1", "m2"]);
    assert.deepEqual(texts(upstream, 1), ["m0", "m1"]);
  });

  test("count bytes, over the frames of one message too", async () => {
    await using redis = await startRedis();
    await using upstream = await startRawUpstream();
    const limit = shared(250, { cost: "byte", exceed: "delay" });
    const websocket = { limits: [limit], maxDelayMs: 2_000 };
    await using one = await open(redis, upstream, limit, { websocket });
    await using other = await open(redis, upstream, limit, { websocket });
    await using a = await openClient(one);
    await using b = await openClient(other);
    const hundred = "x".repeat(100);
    await a.write(
      Buffer.concat([
        masked(hundred, { isFinal: false }),
        masked("", { opcode: 0, isFinal: false }),
        masked(hundred, { opcode: 0 }),
      ]),
    );
    await settled(a, upstream, 0);
    assert.deepEqual(texts(upstream, 0), [hundred, "", hundred]);
    await b.write(Buffer.concat([masked("y".repeat(50)), masked("z")]));
    await seen(upstream, 1, 1);
    assert.equal(readClose(await b.readToEnd()).code, 4429);
    assert.deepEqual(texts(upstream, 1), ["y".repeat(50)]);
  });
});

describe("a socket whose store stands still", () => {
  test("waits with its order, while the other direction goes on, and is charged once", async () => {
    await using redis = await startRedis();
    await using upstream = await startRawUpstream();
    await using gateway = await open(redis, upstream, shared(3));
    await using client = await openClient(gateway);
    const service = await upstream.socket(0);
    await client.write(masked("first"));
    await seen(upstream, 1);
    freeze(redis);
    await client.write(Buffer.concat([masked("second"), masked("ping", { opcode: 9 })]));
    await client.write(masked("third"));
    service.write(bare("meanwhile"));
    assert.deepEqual(await client.readUntil("meanwhile"), bare("meanwhile"));
    assert.deepEqual(texts(upstream), ["first"]);
    thaw(redis);
    await seen(upstream, 3);
    await client.write(masked("fourth"));
    await settled(client, upstream);
    assert.deepEqual(texts(upstream), ["first", "second", "third"]);
    assert.equal(upstream.frames(0).filter((byte) => byte === 0x89).length, 2);
  });

  const lost = [
    { exceed: "close", whenStoreLost: "deny" },
    { exceed: "drop", whenStoreLost: "deny" },
    { exceed: "delay", whenStoreLost: "deny" },
    { exceed: "close", whenStoreLost: "open" },
    { exceed: "close", whenStoreLost: "share" },
  ] as const;
  for (const more of lost) {
    for (const how of ["frozen", "killed"] as const) {
      test(`does what the limit says when the store is ${how}: ${more.whenStoreLost}, ${more.exceed}`, async () => {
        await using redis = await startRedis();
        await using upstream = await startRawUpstream();
        const websocket = { limits: [shared(100, more)], maxDelayMs: 1_500 };
        const limit = shared(100, more);
        await using gateway = await open(redis, upstream, limit, { websocket, budgetMs: 300 });
        await using client = await openClient(gateway);
        await client.write(masked("before"));
        await seen(upstream, 1);
        if (how === "frozen") freeze(redis);
        else await redis.process.stop({ signal: "SIGKILL" });
        await client.write(numbered(4));
        if (more.whenStoreLost !== "deny") {
          await seen(upstream, 5);
          assert.deepEqual(texts(upstream), ["before", "m0", "m1", "m2", "m3"]);
        } else if (more.exceed === "drop") {
          await settled(client, upstream);
          const came = texts(upstream);
          // A lease may have covered some; what was left out stays out.
          assert.ok(came.length < 5, came.join());
        } else {
          const { code, reason } = readClose(await client.readToEnd());
          assert.equal(code, 4503);
          assert.match(reason, /^shedding;retryAfter=\d+$/);
          assert.ok(texts(upstream).length < 5);
        }
        if (how === "frozen") thaw(redis);
      });
    }
  }

  test("goes on after a delay when the store is back in time", async () => {
    await using redis = await startRedis();
    await using upstream = await startRawUpstream();
    // What was asked of the store and not heard is spent: hence not a limit of three.
    const limit = shared(20, { exceed: "delay" });
    await using gateway = await open(redis, upstream, limit, { budgetMs: 200 });
    await using client = await openClient(gateway);
    await client.write(masked("before"));
    await seen(upstream, 1);
    freeze(redis);
    await client.write(numbered(2));
    await gateway.loggedAtLeast("limit-store.lost", 1);
    thaw(redis);
    await seen(upstream, 3);
    assert.deepEqual(texts(upstream), ["before", "m0", "m1"]);
  });
});

describe("a socket that ends while its message waits for the store", () => {
  // The client is not read meanwhile, so its own end is seen only afterwards.
  for (const what of ["the service is gone", "the gateway drains"] as const) {
    test(`gives back what it got, once: ${what}`, async () => {
      await using redis = await startRedis();
      await using upstream = await startRawUpstream();
      const limit = shared(3, { exceed: "delay" });
      const websocket = { limits: [limit], maxDelayMs: 3_000 };
      await using one = await open(redis, upstream, limit, { websocket });
      await using other = await open(redis, upstream, limit, { websocket });
      await using a = await openClient(one);
      const service = await upstream.socket(0);
      await using b = await openClient(other);
      await b.write(masked("first"));
      await seen(upstream, 1, 1);
      freeze(redis);
      await a.write(masked("never"));
      // By the time that this is through, the message has been read and asked about.
      service.write(bare("meanwhile"));
      await a.readUntil("meanwhile");
      const isDrained = what === "the gateway drains";
      const stopped = isDrained ? one.gateway.stop("test") : undefined;
      if (!isDrained) service.destroy();
      assert.equal(readClose(await a.readToEnd()).code, isDrained ? 4512 : 1011);
      thaw(redis);
      await stopped;
      // Whoever asks next: the gateway that gave it back, or, when that has told the store and is gone, the other.
      await using c = isDrained ? undefined : await openClient(one);
      await (c ?? b).write(Buffer.concat([masked("second"), masked("third"), masked("fourth")]));
      const index = isDrained ? 1 : 2;
      // A window of a minute: they pass in time only because nothing of it was lost.
      await seen(upstream, isDrained ? 3 : 2, index);
      // Told what was left of the window, and that it did not come in time.
      const { code } = readClose(await (c ?? b).readToEnd());
      assert.equal(code, 4429);
      assert.deepEqual(texts(upstream, index).slice(-2), ["second", "third"]);
      assert.deepEqual(texts(upstream, 0), []);
    });
  }
});
