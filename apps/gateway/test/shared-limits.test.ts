// Two gateways that share their limits in one Redis: a limit of 100 is 100 over both.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { startRedis, startUpstream, waitFor, type Redis } from "@tidegate/testkit";
import { get, startGateway, type GatewayUnderTest } from "./http-harness.ts";

type Options = Parameters<typeof startGateway>[0];
type Limits = NonNullable<Options["limits"]>;

function storeAt(redis: Pick<Redis, "url">): NonNullable<Options["limitStore"]> {
  // A busy test machine is no lost store.
  return { kind: "redis", url: redis.url, gateways: 2, budgetMs: 2_000, whenEmpty: "grant" };
}

const statuses = (gateway: GatewayUnderTest, count: number): Promise<number[]> =>
  Promise.all(Array.from({ length: count }, async () => (await gateway.ask(get("/"))).status));

const admittedOf = (all: readonly number[]): number =>
  all.filter((status) => status === 200).length;

describe("two gateways on one Redis", () => {
  for (const threads of [0, 2]) {
    test(`admit 100 of a limit of 100, together (${threads} workers each)`, async () => {
      await using redis = await startRedis();
      await using upstream = await startUpstream();
      const limit = { kind: "window", limit: 100, seconds: 60, per: "address", store: "shared" };
      const options = {
        targets: [upstream.url],
        threads,
        limitStore: storeAt(redis),
        limits: [limit] as Limits,
      };
      await using one = await startGateway(options);
      await using other = await startGateway(options);
      const all = await Promise.all([one, other, one, other].map((each) => statuses(each, 40)));
      assert.deepEqual(new Set(all.flat()), new Set([200, 429]));
      assert.ok(admittedOf(all.flat()) <= 100, `${admittedOf(all.flat())} of 100`);
      // What a lease held back comes free when its node has no use for it, before it would expire as spent.
      let admitted = admittedOf(all.flat());
      await waitFor(
        async () => {
          admitted += admittedOf(await statuses(one, 5));
          return admitted >= 90;
        },
        { what: "the rest of the limit", deadlineMs: 10_000, everyMs: 100 },
      );
      assert.ok(admitted <= 100, `${admitted} of 100`);
      const refused = await other.ask(get("/"));
      assert.match(refused.field("ratelimit-policy") ?? "", /^"address-100-in-60s";q=100;w=60/);
    });
  }

  test("a strict limit is exact, and what a later stage refused is given back over both", async () => {
    await using redis = await startRedis();
    await using upstream = await startUpstream();
    const options: Options = {
      targets: [upstream.url],
      limitStore: storeAt(redis),
      routes: [
        {
          path: "/**",
          maxBodyBytes: 10,
          limits: [{ kind: "window", limit: 3, seconds: 60, store: "shared" }],
        },
      ],
    };
    await using one = await startGateway(options);
    await using other = await startGateway(options);
    const tooLarge = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 11\r\n\r\n01234567890";
    for (let call = 0; call < 5; call++) assert.equal((await one.ask(tooLarge)).status, 413);
    const answers: number[] = [];
    for (const gateway of [one, other, other, one, other])
      answers.push((await gateway.ask(get("/"))).status);
    assert.deepEqual(answers, [200, 200, 200, 429, 429]);
    const refused = await one.ask(get("/"));
    assert.ok(Number(refused.field("retry-after")) > 50);
  });

  test("slots in flight are counted over both, and come free for either when an answer ends", async () => {
    await using redis = await startRedis();
    const { promise: release, resolve: answerNow } = Promise.withResolvers<void>();
    await using upstream = await startUpstream({
      async onRequest(request, response) {
        if (request.target === "/slow") await release;
        response.end("done");
      },
    });
    const limit = { kind: "concurrency", limit: 2, per: "address", store: "shared" };
    const options = {
      targets: [upstream.url],
      limitStore: storeAt(redis),
      limits: [limit] as Limits,
    };
    await using one = await startGateway(options);
    await using other = await startGateway(options);
    const slow = [one.ask(get("/slow")), other.ask(get("/slow"))];
    await upstream.requestAt(1);
    for (const gateway of [one, other]) {
      const refused = await gateway.ask(get("/"));
      assert.equal(refused.status, 429);
      assert.match(refused.field("ratelimit-policy") ?? "", /qu="concurrent-requests"/);
    }
    answerNow();
    for (const answer of slow) assert.equal((await answer).status, 200);
    for (const gateway of [one, other])
      await waitFor(async () => (await gateway.ask(get("/"))).status === 200, {
        what: "a slot to come free",
      });
  });

  test("without their store they do what each limit says, and say so", async () => {
    await using redis = await startRedis();
    await using upstream = await startUpstream();
    const window = { kind: "window", limit: 100, seconds: 60, per: "address", store: "shared" };
    await using gateway = await startGateway({
      targets: [upstream.url],
      limitStore: storeAt(redis),
      routes: [
        { path: "/", limits: [{ ...window, name: "strict" }] as Limits },
        {
          path: "/cheap",
          limits: [{ ...window, name: "open", whenStoreLost: "open" }] as Limits,
        },
        {
          path: "/shared",
          limits: [{ ...window, name: "share", whenStoreLost: "share" }] as Limits,
        },
      ],
    });
    assert.equal((await gateway.ask(get("/"))).status, 200);
    await redis.process.stop({ signal: "SIGKILL" });
    const [line] = await gateway.loggedAtLeast("limit-store.lost", 1);
    assert.equal(line?.["level"], "warn");
    const denied = await waitFor(
      async () => {
        const answer = await gateway.ask(get("/"));
        return answer.status === 503 ? answer : undefined;
      },
      { what: "the refusal" },
    );
    assert.match(denied.body.toString(), /temporary-reduced-capacity/);
    assert.ok(Number(denied.field("retry-after")) >= 1);
    assert.equal((await gateway.ask(get("/cheap"))).status, 200);
    const shares: number[] = [];
    for (let call = 0; call < 15; call++) shares.push((await gateway.ask(get("/shared"))).status);
    // A fifth of 100 is withheld, and there may be two gateways.
    assert.equal(admittedOf(shares), 10);
    // Operators see it; balancers do not, or they would take out every gateway at once.
    assert.equal((await fetch(new URL("/readyz", gateway.adminUrl))).status, 503);
    assert.equal((await gateway.ask(get("/readyz"))).status, 200);
  });
});
