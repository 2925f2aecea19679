import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { manualClock, systemRandom, type Random } from "@tidegate/clock";
import { byAddress, limited, type CallInfo, type LimitedOptions, type Refusal } from "./fetch.ts";

const noJitter: Random = { ...systemRandom, unit: () => 0 };

const two = { kind: "window", name: "two", limit: 2, seconds: 60, key: byAddress } as const;
const oneAtOnce = { kind: "concurrency", name: "at-once", limit: 1, key: byAddress } as const;

function open(
  options: LimitedOptions<CallInfo>,
  handler: (request: Request) => Response | Promise<Response> = () => new Response("ok"),
) {
  const clock = manualClock(5_000);
  const handle = limited(handler, { clock, random: noJitter, ...options });
  const ask = (
    init: RequestInit & { readonly from?: string | undefined } = {},
  ): Promise<Response> =>
    handle(new Request("http://localhost/", init), {
      address: "from" in init ? init.from : "192.0.2.1",
    });
  return { clock, ask };
}

describe("limited() and hostile callers", () => {
  test("does not believe X-Forwarded-For", async () => {
    const { ask } = open({ limits: [two] });
    const seen = [];
    for (let i = 0; i < 3; i++) {
      seen.push((await ask({ headers: { "x-forwarded-for": `198.51.100.${i}` } })).status);
    }
    assert.deepEqual(seen, [200, 200, 429]);
  });

  test("limits callers without an address together, rather than not at all", async () => {
    const { ask } = open({ limits: [two] });
    const seen = [];
    for (const from of [undefined, "", "nonsense"]) seen.push((await ask({ from })).status);
    assert.deepEqual(seen, [200, 200, 429]);
    assert.equal((await ask()).status, 200);
  });

  test("gives nothing back to whoever hangs up during the work", async () => {
    const gone = new AbortController();
    const { ask } = open({ limits: [{ ...two, refundWhen: () => true }] }, async () => {
      gone.abort();
      return new Response("late", { status: 503 });
    });
    await ask({ signal: gone.signal });
    await ask({ signal: gone.signal });
    assert.equal((await ask()).status, 429);
  });

  test("charges nothing when a key function throws", async () => {
    let isBroken = true;
    const { ask } = open({
      limits: [
        two,
        {
          ...two,
          name: "user",
          key: () => {
            if (isBroken) throw new Error("no user");
            return "ada";
          },
        },
      ],
    });
    for (let i = 0; i < 3; i++) await assert.rejects(ask(), /no user/);
    isBroken = false;
    assert.equal((await ask()).headers.get("ratelimit"), '"two";r=1;t=60, "user";r=1;t=60');
  });

  test("a reader that gives up frees the slot, and one that reads slowly keeps it", async () => {
    const endless = (): Response =>
      new Response(
        new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(9)) }),
      );
    const { ask, clock } = open({ limits: [oneAtOnce] }, endless);
    const first = await ask();
    const reader = first.body!.getReader();
    await reader.read();
    for (let i = 0; i < 60; i++) clock.advance(10_000);
    assert.equal((await ask()).status, 429);
    await reader.cancel();
    assert.equal((await ask()).status, 200);
  });

  test("a body that fails in the middle frees the slot, and the reader hears of it", async () => {
    const failing = (): Response =>
      new Response(
        new ReadableStream({
          pull() {
            throw new Error("disk");
          },
        }),
      );
    const { ask } = open({ limits: [oneAtOnce] }, failing);
    const response = await ask();
    await assert.rejects(response.text(), /disk/);
    assert.equal((await ask()).status, 200);
  });
});

describe("limited()", () => {
  test("answers 429 with the fields and a problem document", async () => {
    const { ask, clock } = open({ limits: [two] });
    assert.equal((await ask()).headers.get("ratelimit"), '"two";r=1;t=60');
    await ask();
    const refused = await ask();
    assert.equal(refused.status, 429);
    assert.equal(refused.headers.get("content-type"), "application/problem+json");
    assert.equal(refused.headers.get("ratelimit-policy"), '"two";q=2;w=60');
    assert.equal(refused.headers.get("retry-after"), "60");
    const problem = (await refused.json()) as Record<string, unknown>;
    assert.deepEqual(problem["violated-policies"], ["two"]);
    clock.advance(60_000);
    assert.equal((await ask()).status, 200);
  });

  test("answers 413 when the cost is above the capacity", async () => {
    const { ask } = open({
      limits: [{ ...two, cost: ({ request }) => Number(request.headers.get("content-length")) }],
    });
    const refused = await ask({ headers: { "content-length": "3" } });
    assert.equal(refused.status, 413);
    assert.equal(refused.headers.get("retry-after"), null);
  });

  test("gives back when the handler fails, and throws on what it threw", async () => {
    const { ask } = open({ limits: [{ ...two, refundWhen: (status) => status >= 500 }] }, () => {
      throw new Error("no database");
    });
    for (let i = 0; i < 5; i++) await assert.rejects(ask(), /no database/);
  });

  test("adds fields to answers whose fields cannot be changed, and leaves the rest as it is", async () => {
    const { ask } = open({ limits: [two] }, () => Response.redirect("http://localhost/b", 303));
    const redirect = await ask();
    assert.equal(redirect.status, 303);
    assert.equal(redirect.headers.get("location"), "http://localhost/b");
    assert.equal(redirect.headers.get("ratelimit"), '"two";r=1;t=60');
    const { ask: askEmpty } = open(
      { limits: [oneAtOnce] },
      () => new Response(null, { status: 204 }),
    );
    assert.equal((await askEmpty()).status, 204);
    assert.equal((await askEmpty()).status, 204);
  });

  test("passes the whole body on while it holds a slot", async () => {
    const { ask } = open({ limits: [oneAtOnce] }, (request) => new Response(request.body));
    const text = "x".repeat(200_000);
    for (let i = 0; i < 2; i++) {
      assert.equal(await (await ask({ method: "POST", body: text })).text(), text);
    }
  });

  test("skips what `skip` says and tells `observe` of each refusal", async () => {
    const refusals: Refusal[] = [];
    const { ask } = open({
      limits: [two],
      skip: ({ request }) => request.method === "HEAD",
      observe: (refusal) => refusals.push(refusal),
    });
    for (let i = 0; i < 3; i++) assert.equal((await ask({ method: "HEAD" })).status, 200);
    for (let i = 0; i < 3; i++) await ask();
    assert.deepEqual(refusals, [{ isImpossible: false, violated: ["two"], retryAfterSeconds: 60 }]);
  });

  test("refuses to start with limits that cannot be honoured", () => {
    assert.throws(() => open({ limits: [{ ...two, limit: 0 }] }), /limit is 0/);
    assert.throws(() => open({ limits: [two, { ...two }] }), /names must differ/);
  });
});
