// The penalty box and what is open already: sockets and long answers of who goes on over a limit end, on every worker.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { manualClock, systemClock } from "@tidegate/clock";
import {
  issuer as startIssuer,
  readAnswer,
  rawConnection,
  startRedis,
  waitFor,
  type RawConnection,
} from "@tidegate/testkit";
import { OPCODE } from "@tidegate/wire";
import { fastClock, get, startGateway, type GatewayOptions } from "./http-harness.ts";
import {
  bare,
  handshake,
  masked,
  openClient,
  readClose,
  startRawUpstream,
  type FrameOptions,
  type RawUpstream,
} from "./socket-harness.ts";

type Route = NonNullable<GatewayOptions["routes"]>[number];
type SocketLimits = NonNullable<NonNullable<Route["websocket"]>["limits"]>;

const close = "Connection: close";
const perMessage = { kind: "window", limit: 5, seconds: 600 } as const;

async function setUp(
  options: Partial<GatewayOptions> & {
    readonly limits?: never;
    readonly messages?: SocketLimits;
    readonly handshakes?: Route["limits"];
  },
) {
  await using parts = new AsyncDisposableStack();
  const provider = parts.use(await startIssuer({ algorithms: ["ES256"] }));
  const upstream = parts.use(await startRawUpstream());
  const gateway = parts.use(
    await startGateway({
      targets: [`http://127.0.0.1:${upstream.port}`],
      penalty: {},
      identity: { people: { kind: "oidc", issuer: provider.url, audience: "https://api.test" } },
      ...options,
      routes: [
        {
          path: "/live",
          auth: { by: ["people"] },
          limits: options.handshakes ?? [],
          websocket: { limits: options.messages ?? [] },
        },
        {
          path: "/rest",
          auth: { by: ["people"] },
          limits: [{ kind: "window", limit: 1, seconds: 600, per: "user" }],
        },
        ...(options.routes ?? []),
      ],
    }),
  );
  const as = async (sub: string): Promise<{ Authorization: string }> => ({
    Authorization: `Bearer ${await provider.mint({ sub, exp: Math.floor(Date.now() / 1_000) + 3_000 })}`,
  });
  const owned = parts.move();
  return {
    gateway,
    upstream,
    as,
    open: async (sub: string) => openClient(gateway, await as(sub)),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const floods = (count: number, options?: FrameOptions): Buffer =>
  Buffer.concat(Array.from({ length: count }, () => masked("flood", options)));

/** How a socket of ours ended: code and reason of the close frame. */
async function ending(client: RawConnection): Promise<{ code: number; reason: string }> {
  return readClose(await client.readToEnd());
}

let words = 0;

/** What it sends arrives. */
async function assertOpen(client: RawConnection, { server }: RawUpstream): Promise<void> {
  const frame = masked(`word ${++words}`);
  await client.write(frame);
  const hasArrived = (): boolean =>
    server.sockets.some((_, index) => server.received(index).includes(frame));
  await waitFor(hasArrived, { what: "the message of who is not boxed" });
}

const isOver = ({ socket }: RawConnection): boolean => socket.readableEnded || socket.destroyed;

// Rounded up twice, so that nobody who listens comes back too early.
const PENALTY = /^penalty;retryAfter=(?:2\d|30|31);reauthenticate=1$/;

for (const threads of [0, 2]) {
  describe(`a flood over ${threads} workers`, () => {
    test("in one socket ends all sockets of its person, on every worker, and nobody else's", async () => {
      await using t = await setUp({ threads, messages: [{ ...perMessage, exceed: "drop" }] });
      const { gateway, upstream } = t;
      const ada = await Promise.all(Array.from({ length: 6 }, () => t.open("ada")));
      const grace = await Promise.all(Array.from({ length: 4 }, () => t.open("grace")));
      // 5 pass, 30 are dropped: no strike yet.
      await ada[0]!.write(floods(35));
      await waitFor(() => upstream.server.sockets.length === 10, { what: "the sockets" });
      await ada[1]!.write(floods(35));
      assert.deepEqual(await gateway.logged("penalty.began"), []);
      await ada[0]!.write(floods(1));
      for (const client of ada) {
        const { code, reason } = await ending(client);
        assert.equal(code, 4429);
        assert.match(reason, PENALTY);
      }
      for (const client of grace) await assertOpen(client, upstream);

      await using late = await rawConnection(gateway.port);
      await late.write(handshake(gateway.port, await t.as("ada")));
      assert.equal((await readAnswer(late)).status, 429);
      await using other = await t.open("grace");
      await assertOpen(other, upstream);
      const ended = await gateway.loggedAtLeast("socket.ended", 6);
      assert.ok(ended.every((line) => line["subject"] === "ada" && line["closeCode"] === 4429));
    });

    test("of requests ends the person's sockets too", async () => {
      await using t = await setUp({ threads });
      const ada = await Promise.all(Array.from({ length: 4 }, () => t.open("ada")));
      await using grace = await t.open("grace");
      const { Authorization } = await t.as("ada");
      const request = get("/rest", [`Authorization: ${Authorization}`, close]);
      // The service answers nothing, so only refusals are waited for.
      await using first = await t.gateway.connect();
      await first.write(request);
      await waitFor(() => t.upstream.server.sockets.length === 6, { what: "the first request" });
      for (let count = 0; count < 31; count++)
        assert.equal((await t.gateway.ask(request)).status, 429);
      for (const client of ada) assert.equal((await ending(client)).code, 4429);
      await assertOpen(grace, t.upstream);
    });
  });
}

describe("messages", () => {
  test("over a limit with `penalise` box at once, and none of them arrives", async () => {
    await using t = await setUp({
      threads: 2,
      messages: [{ ...perMessage, exceed: "penalise" }],
    });
    const [first, second] = await Promise.all([t.open("ada"), t.open("ada")]);
    await first.write(floods(50));
    for (const client of [first, second]) {
      const { code, reason } = await ending(client);
      assert.equal(code, 4429);
      assert.match(reason, PENALTY);
    }
    const bytes = t.upstream.frames(0).length + t.upstream.frames(1).length;
    const oneClose = 2 * (2 + 4 + 2);
    assert.equal(bytes, floods(5).length + oneClose);
  });

  test("that wait 8 of 10 s are a strike; who listens to the delay is none", async () => {
    const clock = fastClock(10);
    await using t = await setUp({
      clock,
      messages: [{ kind: "bucket", rate: { count: 4, seconds: 1 }, burst: 1, exceed: "delay" }],
    });
    await using calm = await t.open("grace");
    await using busy = await t.open("ada");
    await busy.write(floods(1_000));
    let hasEnded = false;
    const calmly = (async () => {
      // Three in each second of that clock.
      while (!hasEnded) {
        await calm.write(masked("calm"));
        await new Promise<void>((resolve) => void systemClock.after(35, resolve));
      }
    })();
    const { code, reason } = await ending(busy);
    hasEnded = true;
    await calmly;
    assert.equal(code, 4429);
    assert.match(reason, /^penalty;/);
    assert.equal(isOver(calm), false);
    const [line] = await t.gateway.loggedAtLeast("penalty.began", 1);
    assert.match(String(line?.["caller"]), /"ada"/);
  });

  test("that are not the client's to answer for never strike", async () => {
    await using t = await setUp({
      messages: [
        { ...perMessage, class: "text", exceed: "drop", strikes: false },
        { ...perMessage, class: "binary", per: "route", exceed: "drop" },
        { ...perMessage, class: "text", from: "upstream", exceed: "drop" },
        { ...perMessage, class: "control", exceed: "delay" },
      ],
      routes: [
        {
          path: "/pongs",
          auth: { by: ["people"] },
          websocket: {
            limits: [{ ...perMessage, limit: 100, class: "control", exceed: "close" }],
          },
        },
      ],
    });
    await using client = await t.open("ada");
    await client.write(floods(200));
    await client.write(floods(200, { opcode: OPCODE.binary }));
    const socket = await t.upstream.socket();
    socket.write(Buffer.concat(Array.from({ length: 200 }, () => bare("news"))));
    const pongs = Buffer.concat(
      Array.from({ length: 200 }, () => masked("", { opcode: OPCODE.pong })),
    );
    for (let count = 0; count < 40; count++) {
      await using other = await rawConnection(t.gateway.port);
      const text = handshake(t.gateway.port, await t.as("ada")).replace("/live", "/pongs");
      await other.write(Buffer.concat([Buffer.from(text), pongs]));
      await other.ended();
    }
    await client.readUntil("news");
    assert.deepEqual(await t.gateway.logged("penalty.began"), []);
    assert.equal(isOver(client), false);
  });
});

describe("handshakes", () => {
  test("that go on over the caller's own limit are a strike", async () => {
    await using t = await setUp({
      threads: 2,
      handshakes: [{ kind: "window", limit: 1, seconds: 600, per: "user" }],
    });
    await using open = await t.open("ada");
    const fields = await t.as("ada");
    for (let count = 0; count < 31; count++) {
      await using client = await rawConnection(t.gateway.port);
      await client.write(handshake(t.gateway.port, fields));
      assert.equal((await readAnswer(client)).status, 429);
    }
    assert.equal((await ending(open)).code, 4429);
  });
});

describe("long answers", () => {
  /** An upstream that begins an answer and never ends it. */
  const endless = () =>
    startRawUpstream({
      answer: () =>
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n\r\n5\r\nfirst\r\n",
    });

  test("of who is boxed are cut, and do not look whole; a young one is, as soon as it is 10 s old", async () => {
    // Moved by hand: however slow the machine is, the young one is young when its caller is boxed.
    const clock = manualClock(Date.now());
    await using upstream = await endless();
    await using gateway = await startGateway({
      targets: [`http://127.0.0.1:${upstream.port}`],
      penalty: {},
      clock,
      routes: [
        { path: "/events" },
        {
          path: "/limited",
          limits: [{ kind: "window", limit: 1, seconds: 3_600, per: "address" }],
        },
      ],
    });
    await using old = await gateway.connect();
    await old.write(get("/events"));
    await old.readUntil("first");
    clock.advance(10_000);
    await using young = await gateway.connect();
    await young.write(get("/events"));
    await young.readUntil("first");
    await using limited = await gateway.connect();
    await limited.write(get("/limited"));
    await limited.readUntil("first");
    for (let count = 0; count < 31; count++) await gateway.ask(get("/limited", [close]));
    assert.doesNotMatch((await old.readToEnd()).toString(), /0\r\n\r\n/);
    clock.advance(9_999);
    (await upstream.socket(1)).write("6\r\nsecond\r\n");
    await young.readUntil("second");
    // What ends by its age is noticed within a quarter of a second.
    clock.advance(251);
    assert.doesNotMatch((await young.readToEnd()).toString(), /0\r\n\r\n/);
  });
});

describe("gateways that share a Redis", () => {
  test("end the sockets of who is boxed on another one within a second", async () => {
    await using redis = await startRedis();
    const options = {
      threads: 2,
      penalty: { redis: { url: redis.url } },
      messages: [{ ...perMessage, exceed: "drop" }] satisfies SocketLimits,
    };
    await using provider = await startIssuer({ algorithms: ["ES256"] });
    const identity = {
      people: { kind: "oidc" as const, issuer: provider.url, audience: "https://api.test" },
    };
    await using one = await setUp({ ...options, identity });
    await using other = await setUp({ ...options, identity });
    const fields = { Authorization: `Bearer ${await provider.mint()}` };
    const elsewhere = await Promise.all(
      Array.from({ length: 4 }, () => openClient(other.gateway, fields)),
    );
    await using here = await openClient(one.gateway, fields);
    await here.write(floods(36));
    assert.equal((await ending(here)).code, 4429);
    const beganMs = systemClock.monotonicMs();
    for (const client of elsewhere) {
      const { code, reason } = await ending(client);
      assert.equal(code, 4429);
      assert.match(reason, PENALTY);
    }
    assert.ok(systemClock.monotonicMs() - beganMs < 1_000);
  });
});
