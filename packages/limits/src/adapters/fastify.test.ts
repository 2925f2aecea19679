import assert from "node:assert/strict";
import { connect, type AddressInfo } from "node:net";
import { describe, test } from "node:test";
import fastify, { type FastifyInstance, type FastifyRequest } from "fastify";
import { manualClock, systemRandom, type ManualClock, type Random } from "@tidegate/clock";
import { waitFor } from "@tidegate/testkit";
import { callerKey } from "../caller-key.ts";
import {
  byAddress,
  fastifyLimits,
  routeLimits,
  type FastifyLimit,
  type FastifyLimitsOptions,
  type Refusal,
} from "./fastify.ts";

const noJitter: Random = { ...systemRandom, unit: () => 0 };

type Limit = FastifyLimit<FastifyRequest>;
const few = (name: string, limit: number, more: Partial<Limit> = {}): Limit =>
  ({ kind: "window", name, limit, seconds: 60, key: byAddress, ...more }) as Limit;
const byHeader = (request: FastifyRequest): string | undefined => {
  const user = request.headers["x-user"];
  return typeof user === "string" ? callerKey("user", user) : undefined;
};

async function open(
  options: FastifyLimitsOptions<FastifyRequest>,
  addRoutes: (app: FastifyInstance) => void = (app) => app.get("/x", () => "x"),
): Promise<{ app: FastifyInstance & AsyncDisposable; clock: ManualClock }> {
  const clock = manualClock(5_000);
  const app = fastify();
  await app.register(fastifyLimits<FastifyRequest>({ clock, random: noJitter, ...options }));
  addRoutes(app);
  return { app, clock };
}

const statuses = async (
  app: FastifyInstance,
  count: number,
  headers: Record<string, string> = {},
  url = "/x",
): Promise<number[]> => {
  const all = [];
  for (let i = 0; i < count; i++) all.push((await app.inject({ url, headers })).statusCode);
  return all;
};

describe("fastifyLimits() and hostile callers", () => {
  test("does not believe X-Forwarded-For", async () => {
    const { app } = await open({ limits: [few("a", 2)] });
    await using _ = app;
    const seen = [];
    for (let i = 0; i < 4; i++) {
      const headers = { "x-forwarded-for": `198.51.100.${i}`, forwarded: `for=198.51.100.${i}` };
      seen.push(...(await statuses(app, 1, headers)));
    }
    assert.deepEqual(seen, [200, 200, 429, 429]);
  });

  test("takes all addresses of an IPv6 /64 and both forms of an IPv4 address for one caller", async () => {
    const { app } = await open({ limits: [few("a", 2)] });
    await using _ = app;
    const from = async (remoteAddress: string): Promise<number> =>
      (await app.inject({ url: "/x", remoteAddress })).statusCode;
    assert.equal(await from("2001:db8::1"), 200);
    assert.equal(await from("2001:db8::2"), 200);
    assert.equal(await from("2001:db8::ffff"), 429);
    assert.equal(await from("2001:db8:0:1::1"), 200);
    assert.equal(await from("192.0.2.1"), 200);
    assert.equal(await from("::ffff:192.0.2.1"), 200);
    assert.equal(await from("192.0.2.1"), 429);
  });

  test("keeps a limited caller limited while a flood of keys fills the table", async () => {
    const { app } = await open({ limits: [few("u", 1, { key: byHeader, maxKeys: 256 })] });
    await using _ = app;
    assert.deepEqual(await statuses(app, 2, { "x-user": "honest" }), [200, 429]);
    for (let i = 0; i < 2_000; i++) await app.inject({ url: "/x", headers: { "x-user": `f${i}` } });
    assert.deepEqual(await statuses(app, 1, { "x-user": "honest" }), [429]);
  });

  test("tells oversized keys apart without keeping them, and limits each", async () => {
    const { app } = await open({
      limits: [few("u", 1, { key: (request) => String(request.headers["x-user"]) })],
    });
    await using _ = app;
    const long = "k".repeat(8_000);
    assert.deepEqual(await statuses(app, 2, { "x-user": `${long}a` }), [200, 429]);
    assert.deepEqual(await statuses(app, 2, { "x-user": `${long}b` }), [200, 429]);
  });

  test("limits unknown paths too", async () => {
    const { app } = await open({ limits: [few("a", 2)] });
    await using _ = app;
    assert.deepEqual(await statuses(app, 3, {}, "/guess"), [404, 404, 429]);
  });

  test("gives HEAD no budget of its own", async () => {
    const { app } = await open({}, (to) =>
      to.get("/x", { config: routeLimits([few("r", 1)]) }, () => "x"),
    );
    await using _ = app;
    assert.equal((await app.inject({ url: "/x", method: "HEAD" })).statusCode, 200);
    assert.equal((await app.inject({ url: "/x", method: "GET" })).statusCode, 429);
  });

  test("gives nothing back to whoever hangs up during the work", async () => {
    let begun = 0;
    const work = Promise.withResolvers<void>();
    const limit = few("r", 2, { refundWhen: () => true });
    const { app } = await open({ limits: [limit] }, (to) =>
      to.get("/work", async (_, reply) => {
        begun++;
        await work.promise;
        return reply.code(500).send("late");
      }),
    );
    await using _ = app;
    await app.listen({ port: 0, host: "127.0.0.1" });
    const { port } = app.server.address() as AddressInfo;
    for (let i = 1; i <= 2; i++) {
      const client = connect(port, "127.0.0.1");
      client.write("GET /work HTTP/1.1\r\nHost: x\r\n\r\n");
      await waitFor(() => begun === i, { what: "the handler to begin" });
      client.destroy();
    }
    await waitFor(
      () =>
        new Promise((resolve) =>
          app.server.getConnections((_error, count) => resolve(count === 0)),
        ),
      { what: "the server to see that both left" },
    );
    work.resolve();
    assert.equal((await fetch(`http://127.0.0.1:${port}/none`)).status, 429);
  });

  test("answers 500 when a key function throws, and charges nothing", async () => {
    const { app } = await open({
      limits: [
        few("a", 1, { key: () => "all" }),
        few("u", 9, {
          key: (request) => {
            if (request.headers["x-user"] === "bad") throw new Error("no user");
            return "u";
          },
        }),
      ],
    });
    await using _ = app;
    assert.deepEqual(await statuses(app, 2, { "x-user": "bad" }), [500, 500]);
    assert.deepEqual(await statuses(app, 2), [200, 429]);
  });

  test("refuses negative and absurd costs instead of giving units back", async () => {
    const cost = (request: FastifyRequest): number => Number(request.headers["x-cost"]);
    const { app } = await open({ limits: [few("a", 10, { cost })] });
    await using _ = app;
    const seen = [];
    for (const text of ["-5", "NaN", "1e300", "4294967297", "0.5", "9", "1"]) {
      seen.push(...(await statuses(app, 1, { "x-cost": text })));
    }
    assert.deepEqual(seen, [500, 500, 413, 413, 200, 200, 429]);
  });
});

describe("fastifyLimits()", () => {
  test("answers 429 with the fields and a problem document", async () => {
    const { app, clock } = await open({ limits: [few("a", 2)] });
    await using _ = app;
    const first = await app.inject("/x");
    assert.equal(first.headers["ratelimit-policy"], '"a";q=2;w=60');
    assert.equal(first.headers["ratelimit"], '"a";r=1;t=60');
    await app.inject("/x");
    clock.advance(10_000);
    const refused = await app.inject("/x");
    assert.equal(refused.statusCode, 429);
    assert.equal(refused.headers["content-type"], "application/problem+json");
    assert.equal(refused.headers["cache-control"], "no-store");
    assert.equal(refused.headers["retry-after"], "50");
    assert.equal(refused.headers["ratelimit"], '"a";r=0;t=50');
    assert.deepEqual(refused.json(), {
      type: "https://iana.org/assignments/http-problem-types#quota-exceeded",
      title: "Over a limit",
      status: 429,
      detail: "A limit is used up; come back after Retry-After.",
      "violated-policies": ["a"],
    });
    clock.advance(50_000);
    assert.equal((await app.inject("/x")).statusCode, 200);
  });

  test("answers 413 without Retry-After when no wait makes the cost fit", async () => {
    const { app } = await open({ limits: [few("a", 2, { cost: () => 3 })] });
    await using _ = app;
    const refused = await app.inject("/x");
    assert.equal(refused.statusCode, 413);
    assert.equal(refused.headers["retry-after"], undefined);
    assert.deepEqual(refused.json()["violated-policies"], ["a"]);
  });

  test("asks the limits of all routes and of this one together, all or nothing", async () => {
    const { app } = await open({ limits: [few("all", 3)] }, (to) => {
      to.get("/x", () => "x");
      to.get("/pay", { config: routeLimits([few("pay", 1)]) }, () => "paid");
      to.get("/free", { config: routeLimits(false) }, () => "free");
    });
    await using _ = app;
    assert.deepEqual(await statuses(app, 3, {}, "/pay"), [200, 429, 429]);
    // Two of three are left: refusals by `pay` charged nothing.
    assert.deepEqual(await statuses(app, 3), [200, 200, 429]);
    assert.deepEqual(await statuses(app, 1, {}, "/free"), [200]);
    assert.deepEqual((await app.inject("/pay")).json()["violated-policies"], ["all", "pay"]);
  });

  test("shares one budget where the same limit object stands on two routes", async () => {
    const writes = few("writes", 2);
    const { app } = await open({}, (to) => {
      to.get("/x", { config: routeLimits([writes]) }, () => "x");
      to.get("/y", { config: routeLimits([writes]) }, () => "y");
      to.get("/z", { config: routeLimits([{ ...writes }]) }, () => "z");
    });
    await using _ = app;
    await app.inject("/x");
    await app.inject("/y");
    assert.deepEqual(await statuses(app, 1, {}, "/x"), [429]);
    assert.deepEqual(await statuses(app, 1, {}, "/z"), [200]);
  });

  test("asks preHandler limits after sign-in hooks and says both stages in the fields", async () => {
    const { app } = await open(
      {
        limits: [
          few("address", 9),
          few("user", 1, {
            at: "preHandler",
            key: (request) => (request as { user?: string }).user,
          }),
        ],
      },
      (to) => {
        to.addHook("preValidation", async (request) => {
          Object.assign(request, { user: request.headers["x-user"] });
        });
        to.get("/x", () => "x");
      },
    );
    await using _ = app;
    const first = await app.inject({ url: "/x", headers: { "x-user": "ada" } });
    assert.equal(first.headers["ratelimit-policy"], '"address";q=9;w=60, "user";q=1;w=60');
    assert.equal(first.headers["ratelimit"], '"address";r=8;t=60, "user";r=0;t=60');
    assert.deepEqual(await statuses(app, 1, { "x-user": "ada" }), [429]);
    assert.deepEqual(await statuses(app, 2), [200, 200]);
  });

  test("gives back what a later refusal or failure made useless, and only of limits that say so", async () => {
    const failed = (status: number): boolean => status >= 500;
    const { app } = await open(
      { limits: [few("user", 2, { refundWhen: failed }), few("address", 4)] },
      (to) => {
        to.get("/fail", () => {
          throw new Error("no database");
        });
        to.get("/x", () => "x");
      },
    );
    await using _ = app;
    assert.deepEqual(await statuses(app, 2, {}, "/fail"), [500, 500]);
    const third = await app.inject("/x");
    assert.equal(third.statusCode, 200);
    assert.equal(third.headers["ratelimit"], '"user";r=1;t=60, "address";r=1;t=60');
  });

  test("holds the slots of a concurrency limit until the answer is out, past their expiry", async () => {
    const gate = Promise.withResolvers<void>();
    const { app, clock } = await open(
      { limits: [{ kind: "concurrency", name: "busy", limit: 1, key: byAddress }] },
      (to) =>
        to.get("/x", (request) =>
          request.headers["x-wait"] === undefined ? "x" : gate.promise.then(() => "x"),
        ),
    );
    await using _ = app;
    const first = app.inject({ url: "/x", headers: { "x-wait": "" } });
    first.catch(() => {});
    await waitFor(async () => (await app.inject("/x")).statusCode === 429, { what: "a full slot" });
    for (let i = 0; i < 30; i++) clock.advance(10_000);
    assert.deepEqual(await statuses(app, 1), [429]);
    gate.resolve();
    assert.equal((await first).statusCode, 200);
    await waitFor(async () => (await app.inject("/x")).statusCode === 200, { what: "a free slot" });
  });

  test("decides and counts limits in shadow mode, and neither refuses nor tells", async () => {
    const { app } = await open({ limits: [few("dark", 1, { shadow: true }), few("a", 3)] });
    await using _ = app;
    assert.deepEqual(await statuses(app, 2), [200, 200]);
    assert.equal((await app.inject("/x")).headers["ratelimit-policy"], '"a";q=3;w=60');
    assert.deepEqual((await app.inject("/x")).json()["violated-policies"], ["a"]);
  });

  test("skips what `skip` says and tells `observe` of each refusal", async () => {
    const refusals: Refusal[] = [];
    const { app } = await open({
      limits: [few("a", 1)],
      skip: (request) => request.headers["x-user"] === "probe",
      observe: (refusal) => refusals.push(refusal),
    });
    await using _ = app;
    assert.deepEqual(await statuses(app, 3, { "x-user": "probe" }), [200, 200, 200]);
    assert.deepEqual(await statuses(app, 2), [200, 429]);
    assert.deepEqual(refusals, [{ isImpossible: false, violated: ["a"], retryAfterSeconds: 60 }]);
  });

  test("also writes the older fields when asked", async () => {
    const { app } = await open({ limits: [few("a", 3)], withLegacyFields: true });
    await using _ = app;
    assert.equal((await app.inject("/x")).headers["x-ratelimit-remaining"], "2");
  });
});

describe("fastifyLimits() at the start", () => {
  test("names every limit that cannot be honoured", async () => {
    const { app } = await open({ limits: [few("a", 0), few("b", -1)] });
    await using _ = app;
    await assert.rejects(async () => await app.ready(), /\[0\]\.limit is 0[^]*\[1\]\.limit is -1/);
  });

  test("refuses two limits of one name on one route", async () => {
    const { app } = await open({ limits: [few("a", 1)] }, (to) =>
      to.get("/x", { config: routeLimits([few("a", 2)]) }, () => "x"),
    );
    await using _ = app;
    await assert.rejects(async () => await app.ready(), /names must differ/);
  });

  test("a route that came before the plugin does not answer, rather than unlimited", async () => {
    await using app = fastify() as FastifyInstance & AsyncDisposable;
    app.get("/x", { config: routeLimits([few("a", 1)]) }, () => "x");
    await app.register(fastifyLimits<FastifyRequest>());
    const answer = await app.inject("/x");
    assert.equal(answer.statusCode, 500);
    assert.match(answer.json().message, /added before the plugin/);
  });

  test("two servers of one options object have budgets of their own", async () => {
    const options = { limits: [few("a", 1)] };
    const { app: one } = await open(options);
    const { app: two } = await open(options);
    await using _one = one;
    await using _two = two;
    assert.deepEqual(await statuses(one, 2), [200, 429]);
    assert.deepEqual(await statuses(two, 2), [200, 429]);
  });
});
