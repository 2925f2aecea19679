import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { describe, test } from "node:test";
import { manualClock } from "@tidegate/clock";
import { waitFor } from "@tidegate/testkit";
import { AUDIENCE, NOW, outcome, random, START_MS } from "../test/access-token-fixture.ts";
import { jsonServer, type Asked } from "../test/json-server.ts";
import { basic } from "../test/password-fixture.ts";
import { createHashingPool } from "./hashing-pool.ts";
import { createProviderPasswordVerifier } from "./provider-password-verifier.ts";

/** A provider that knows ada's password, and answers otherwise where the test says so. */
async function setUp() {
  const clock = manualClock(START_MS);
  const server = await jsonServer();
  const issuer = "https://provider.test";
  const asked: Asked[] = [];
  const held: (() => void)[] = [];
  const provider = { changes: {} as object, status: 200, fields: {}, holds: false };
  server.documents.set("/basic", (response: ServerResponse, question: Asked) => {
    asked.push(question);
    const isRight = question.form.get("password") === "secret";
    const answer = isRight
      ? {
          active: true,
          iss: issuer,
          sub: "person-1",
          scope: "tasks:read",
          acr: "phr",
          auth_time: NOW,
          ...provider.changes,
        }
      : { active: false };
    const send = () => {
      response.writeHead(provider.status, {
        "content-type": "application/json",
        ...provider.fields,
      });
      response.end(JSON.stringify(answer));
    };
    if (provider.holds) held.push(send);
    else send();
  });
  const outages: string[] = [];
  const verifier = createProviderPasswordVerifier({
    issuer,
    audience: AUDIENCE,
    otherAudiences: [],
    clockToleranceSeconds: 5,
    endpoint: new URL("/basic", server.url).href,
    client: { id: "gateway", secret: "s", authentication: "client_secret_basic" },
    timeoutMs: 5_000,
    rememberMs: 60_000,
    pool: createHashingPool(),
    clock,
    random,
    onOutage: (error) => outages.push(error === undefined ? "over" : "begun"),
  });
  const verify = async (user: string, password: string, network = "192.0.2.1") =>
    verifier.verify({ text: basic(user, password), network }, AbortSignal.timeout(10_000));
  return {
    clock,
    server,
    issuer,
    asked,
    held,
    provider,
    outages,
    verifier,
    verify,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

describe("Basic through a provider", () => {
  test("verify() believes no answer of another issuer, about another audience, without a person, or that is none", async () => {
    const cases: [string, object, string][] = [
      ["no issuer", { iss: undefined }, "issuer"],
      ["another issuer", { iss: "https://other.test" }, "issuer"],
      ["another audience", { aud: "https://other.test" }, "audience"],
      ["nobody", { sub: undefined }, "claims"],
      ["over already", { exp: NOW - 1 }, "expired"],
      ["active as text", { active: "true" }, "unavailable"],
    ];
    for (const [what, changes, why] of cases) {
      await using t = await setUp();
      t.provider.changes = changes;
      assert.equal(outcome(await t.verify("ada", "secret")), why, what);
    }
  });

  test("verify() proves who asks, says for whom, and takes from the answer no more than a password proves", async () => {
    await using t = await setUp();
    const result = await t.verify("ada", "secret", "2001:db8:0:1/64");
    assert.ok(result.outcome === "accepted");
    assert.deepEqual(result.principal, {
      kind: "person",
      issuer: t.issuer,
      subject: "person-1",
      client: "",
      scopes: new Set(["tasks:read"]),
      acr: "urn:tidegate:acr:basic",
      authTimeSeconds: 0,
      issuedAtSeconds: 0,
      sessionId: "",
      tokenId: "",
      keyThumbprint: "",
      expiresAtMs: Number.POSITIVE_INFINITY,
    });
    const [question] = t.asked;
    assert.deepEqual(Object.fromEntries(question?.form ?? []), {
      username: "ada",
      password: "secret",
      address: "2001:db8:0:1::",
    });
    assert.equal(question?.headers.authorization, `Basic ${basic("gateway", "s")}`);
  });

  test("verify() asks once for callers that come at once, and again after a minute, or when it was told to forget", async () => {
    await using t = await setUp();
    const many = await Promise.all(Array.from({ length: 50 }, () => t.verify("ada", "secret")));
    assert.deepEqual(new Set(many.map(outcome)), new Set(["accepted"]));
    const [first] = many;
    assert.ok(first?.outcome === "accepted");
    assert.ok(t.verifier.rememberedUntilMs(first.fingerprint) > 0);
    t.clock.advance(59_999);
    await t.verify("ada", "secret");
    assert.equal(t.asked.length, 1);
    t.clock.advance(1);
    await t.verify("ada", "secret");
    assert.equal(t.asked.length, 2);
    t.verifier.forget();
    assert.equal(t.verifier.rememberedUntilMs(first.fingerprint), 0);
    await t.verify("ada", "secret");
    assert.equal(t.asked.length, 3);
    // No longer than the answer says, either.
    t.provider.changes = { exp: NOW + 60 + 10 };
    t.verifier.forget();
    await t.verify("ada", "secret");
    t.clock.advance(10_000);
    assert.equal(outcome(await t.verify("ada", "secret")), "expired");
  });

  test("verify() lets a guesser wait before the provider is asked, and nobody else", async () => {
    await using t = await setUp();
    for (const guess of ["one", "two", "three"])
      assert.equal(outcome(await t.verify("ada", guess)), "password");
    assert.equal(outcome(await t.verify("ada", "secret")), "backed-off");
    assert.equal(t.asked.length, 3);
    assert.equal(outcome(await t.verify("ada", "secret", "198.51.100.7")), "accepted");
    t.clock.advance(1_000);
    assert.equal(outcome(await t.verify("ada", "secret")), "accepted");
  });

  test("verify() asks two questions at once, lets 32 wait, and no more", async () => {
    await using t = await setUp();
    t.provider.holds = true;
    const answers = Array.from({ length: 36 }, (_, at) => t.verify(`user${at}`, "secret"));
    await waitFor(() => t.held.length === 2, { what: "two questions" });
    const refused = await Promise.all(answers.slice(34));
    assert.deepEqual(refused.map(outcome), ["busy", "busy"]);
    t.provider.holds = false;
    for (const send of t.held) send();
    const rest = await Promise.all(answers.slice(0, 34));
    assert.deepEqual(new Set(rest.map(outcome)), new Set(["accepted"]));
    assert.equal(t.asked.length, 34);
  });

  test("a provider that hangs holds nobody for long, counts no guess, and is left alone", async () => {
    await using t = await setUp();
    t.provider.holds = true;
    for (let round = 0; round < 5; round++) {
      const waiting = t.verify("ada", "secret");
      await waitFor(() => t.held.length === round + 1, { what: "the question" });
      t.clock.advance(5_000);
      assert.equal(outcome(await waiting), "unavailable");
    }
    assert.deepEqual(t.outages, ["begun"]);
    assert.equal(outcome(await t.verify("ada", "secret")), "unavailable");
    assert.equal(t.asked.length, 5);
    t.provider.holds = false;
    t.clock.advance(1_100);
    assert.equal(outcome(await t.verify("ada", "secret")), "accepted");
    assert.deepEqual(t.outages, ["begun", "over"]);
  });

  test("what waited behind a provider that hangs is not asked late", async () => {
    await using t = await setUp();
    t.provider.holds = true;
    const answers = Array.from({ length: 10 }, (_, at) => t.verify(`user${at}`, "secret"));
    await waitFor(() => t.held.length === 2, { what: "two questions" });
    t.clock.advance(5_001);
    assert.deepEqual(new Set((await Promise.all(answers)).map(outcome)), new Set(["unavailable"]));
    assert.equal(t.asked.length, 2);
  });

  test("the provider's own waits are passed on", async () => {
    await using t = await setUp();
    t.provider.status = 429;
    t.provider.fields = { "retry-after": "7" };
    assert.deepEqual(await t.verify("ada", "secret"), {
      outcome: "backed-off",
      retryAfterMs: 7_000,
    });
    t.provider.status = 503;
    assert.deepEqual(await t.verify("ada", "secret"), { outcome: "busy", retryAfterMs: 7_000 });
    t.provider.status = 401;
    assert.equal(outcome(await t.verify("ada", "secret")), "unavailable");
  });
});
