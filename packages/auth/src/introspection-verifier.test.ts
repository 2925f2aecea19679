import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { describe, test } from "node:test";
import { manualClock } from "@tidegate/clock";
import { waitFor } from "@tidegate/testkit";
import { AUDIENCE, NOW, outcome, random, START_MS } from "../test/access-token-fixture.ts";
import { jsonServer, type Asked } from "../test/json-server.ts";
import {
  createIntrospectionVerifier,
  type IntrospectionVerifierOptions,
} from "./introspection-verifier.ts";
import { tokenFingerprint } from "./token-memory.ts";

const THUMBPRINT = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";

/** A provider that answers what the test says, and a verifier that asks it. */
async function setUp(changes: Partial<IntrospectionVerifierOptions> = {}) {
  const clock = manualClock(START_MS);
  const server = await jsonServer();
  const issuer = server.url.origin;
  server.documents.set("/.well-known/openid-configuration", {
    issuer,
    introspection_endpoint: `${issuer}/introspect`,
  });
  const asked: Asked[] = [];
  const held: (() => void)[] = [];
  const provider = {
    answer: {} as unknown,
    status: 200,
    holds: false,
  };
  const good = {
    active: true,
    iss: issuer,
    sub: "ada",
    aud: AUDIENCE,
    client_id: "web",
    token_type: "Bearer",
    scope: "tasks:read",
    iat: NOW,
    exp: NOW + 300,
  };
  provider.answer = good;
  server.documents.set("/introspect", (response: ServerResponse, question: Asked) => {
    asked.push(question);
    const send = () => {
      response.writeHead(provider.status, { "content-type": "application/json" });
      response.end(JSON.stringify(provider.answer));
    };
    if (provider.holds) held.push(send);
    else send();
  });
  const outages: string[] = [];
  const verifier = createIntrospectionVerifier({
    issuer,
    audience: AUDIENCE,
    otherAudiences: [],
    clockToleranceSeconds: 5,
    client: { id: "gate:way", secret: "s/ecret", authentication: "client_secret_basic" },
    timeoutMs: 3_000,
    rememberMs: 30_000,
    rememberRefusedMs: 5_000,
    maxInFlight: 64,
    clock,
    random,
    onOutage: (error) => outages.push(error === undefined ? "over" : "begun"),
    ...changes,
  });
  const present = async (
    text: string,
    { network = "192.0.2.1", isFresh = false, signal = AbortSignal.timeout(10_000) } = {},
  ) => verifier.verify({ text, fingerprint: tokenFingerprint(text) }, { network, isFresh, signal });
  return {
    clock,
    server,
    issuer,
    asked,
    held,
    provider,
    good,
    outages,
    verifier,
    present,
    async [Symbol.asyncDispose]() {
      verifier[Symbol.dispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

describe("introspection: what is refused", () => {
  test("verify() refuses whatever the answer does not say, or says of another token", async () => {
    await using t = await setUp();
    const cases: [string, object, string][] = [
      ["inactive", { active: false }, "inactive"],
      ["inactive, with a person", { ...t.good, active: false }, "inactive"],
      ["another issuer", { iss: "https://other.test" }, "issuer"],
      ["no audience", { aud: undefined }, "audience"],
      ["another audience", { aud: "https://other.test" }, "audience"],
      ["one audience more", { aud: [AUDIENCE, "https://other.test"] }, "audience"],
      ["no kind of token", { token_type: undefined }, "kind-of-token"],
      ["a refresh token", { token_type: "refresh_token" }, "kind-of-token"],
      ["an ID token", { token_type: "id_token" }, "kind-of-token"],
      ["kind as number", { token_type: 1 }, "kind-of-token"],
      ["no exp", { exp: undefined }, "claims"],
      ["exp as text", { exp: String(NOW + 300) }, "claims"],
      ["expired", { exp: NOW - 5 }, "expired"],
      ["issued in the future", { iat: NOW + 6 }, "not-yet-valid"],
      ["nbf in the future", { nbf: NOW + 6 }, "not-yet-valid"],
      ["nobody", { sub: undefined, client_id: undefined }, "claims"],
      ["scope as number", { scope: 1 }, "claims"],
      ["bound to a key", { cnf: { jkt: THUMBPRINT } }, "proof-of-possession"],
      ["DPoP without a key", { token_type: "DPoP" }, "proof-of-possession"],
      ["bound to a certificate", { cnf: { "x5t#S256": "x" } }, "certificate-bound"],
    ];
    for (const [at, [what, changes, why]] of cases.entries()) {
      t.provider.answer = { ...t.good, ...changes };
      assert.equal(outcome(await t.present(`token-${at}`)), why, what);
    }
  });

  test("verify() finds no answer in what is none, which says nothing about the token", async () => {
    for (const answer of [{}, [], null, "active", { active: "true" }, { active: 1 }]) {
      await using t = await setUp();
      t.provider.answer = answer;
      const result = await t.present("token");
      assert.equal(outcome(result), "unavailable", JSON.stringify(answer));
      assert.ok(result.outcome === "unavailable" && result.retryAfterMs >= 1_000);
    }
    for (const status of [401, 403, 404, 500, 302]) {
      await using t = await setUp();
      t.provider.status = status;
      assert.equal(outcome(await t.present("token")), "unavailable", String(status));
    }
  });

  test("verify() asks nobody but the configured provider", async () => {
    await using t = await setUp();
    const metadata = {
      issuer: "https://other.test",
      introspection_endpoint: `${t.issuer}/introspect`,
    };
    t.server.documents.set("/.well-known/openid-configuration", metadata);
    assert.equal(outcome(await t.present("token")), "unavailable");
    assert.equal(t.asked.length, 0);
    assert.throws(
      () =>
        createIntrospectionVerifier({
          ...({} as IntrospectionVerifierOptions),
          issuer: "https://provider.example",
          endpoint: "http://provider.example/introspect",
        }),
      /neither https nor http on a loopback/,
    );
  });
});

describe("introspection: what is accepted", () => {
  test("verify() proves who asks, and fills the principal", async () => {
    await using t = await setUp({ boundTokens: "proof-checked-by-caller" });
    t.provider.answer = {
      ...t.good,
      acr: "phr",
      auth_time: NOW - 60,
      jti: "1",
      sid: "session",
      token_type: "DPoP",
      cnf: { jkt: THUMBPRINT },
    };
    const result = await t.present("token");
    assert.ok(result.outcome === "accepted");
    assert.deepEqual(result.principal, {
      kind: "person",
      issuer: t.issuer,
      subject: "ada",
      client: "web",
      scopes: new Set(["tasks:read"]),
      acr: "phr",
      authTimeSeconds: NOW - 60,
      issuedAtSeconds: NOW,
      sessionId: "session",
      tokenId: "1",
      keyThumbprint: THUMBPRINT,
      expiresAtMs: START_MS + 300_000,
    });
    const [question] = t.asked;
    assert.equal(question?.form.get("token"), "token");
    assert.equal(question?.form.get("token_type_hint"), "access_token");
    // RFC 6749 §2.3.1: each part is form-encoded first.
    const pair = Buffer.from("gate%3Away:s%2Fecret").toString("base64");
    assert.equal(question?.headers.authorization, `Basic ${pair}`);
    assert.equal(question?.form.get("client_secret"), null);
  });

  test("verify() sends the secret in the form where that is wanted", async () => {
    await using t = await setUp({
      client: { id: "gateway", secret: "secret", authentication: "client_secret_post" },
    });
    assert.equal(outcome(await t.present("token")), "accepted");
    assert.equal(t.asked[0]?.form.get("client_id"), "gateway");
    assert.equal(t.asked[0]?.form.get("client_secret"), "secret");
    assert.equal(t.asked[0]?.headers.authorization, undefined);
  });

  test("a client without a person is one, also where `sub` is left out", async () => {
    await using t = await setUp();
    t.provider.answer = { ...t.good, sub: undefined };
    const result = await t.present("token");
    assert.ok(result.outcome === "accepted");
    assert.deepEqual([result.principal.kind, result.principal.subject], ["client", "web"]);
  });
});

describe("introspection: bounds", () => {
  test("one question for callers that come at the same time with one token", async () => {
    await using t = await setUp();
    t.provider.holds = true;
    const answers = Array.from({ length: 100 }, () => t.present("token"));
    await waitFor(() => t.held.length > 0, { what: "the question" });
    for (const send of t.held) send();
    assert.deepEqual(new Set((await Promise.all(answers)).map(outcome)), new Set(["accepted"]));
    assert.equal(t.asked.length, 1);
    assert.equal(t.server.requests.length, 2);
  });

  test("a good answer counts half a minute and no longer than the token; a refusal five seconds", async () => {
    await using t = await setUp();
    await t.present("token");
    t.clock.advance(29_999);
    assert.equal(outcome(await t.present("token")), "accepted");
    assert.ok(t.verifier.recall(tokenFingerprint("token")));
    assert.equal(t.asked.length, 1);
    t.clock.advance(1);
    assert.equal(t.verifier.recall(tokenFingerprint("token")), undefined);
    t.provider.answer = { active: false };
    assert.equal(outcome(await t.present("token")), "inactive");
    t.provider.answer = { ...t.good, exp: NOW + 31 + 10 };
    t.clock.advance(4_999);
    assert.equal(outcome(await t.present("token")), "inactive");
    assert.equal(t.asked.length, 2);
    t.clock.advance(1);
    assert.equal(outcome(await t.present("token")), "accepted");
    t.clock.advance(6_000);
    assert.equal(t.verifier.recall(tokenFingerprint("token")), undefined);
  });

  test("what is remembered is passed over for whoever must know it fresh", async () => {
    await using t = await setUp();
    await t.present("token");
    t.provider.answer = { active: false };
    assert.equal(outcome(await t.present("token")), "accepted");
    assert.equal(outcome(await t.present("token", { isFresh: true })), "inactive");
    // And what it found out holds for all.
    assert.equal(outcome(await t.present("token")), "inactive");
    assert.equal(t.asked.length, 2);
  });

  test("a provider that hangs holds callers no longer than its time, then nobody asks it", async () => {
    await using t = await setUp({ endpoint: undefined });
    await t.present("first");
    t.provider.holds = true;
    for (let round = 0; round < 5; round++) {
      const waiting = t.present(`token-${round}`);
      await waitFor(() => t.held.length === round + 1, { what: "the question" });
      t.clock.advance(3_000);
      assert.equal(outcome(await waiting), "unavailable");
    }
    assert.deepEqual(t.outages, ["begun"]);
    assert.equal(t.verifier.isCurrent, false);
    const asked = t.asked.length;
    const result = await t.present("another");
    assert.ok(result.outcome === "unavailable" && result.retryAfterMs >= 1_000);
    assert.equal(t.asked.length, asked);
    // Whoever is remembered goes on.
    assert.equal(outcome(await t.present("first")), "accepted");
    // After a second one asks again, and all do when it is answered.
    t.provider.holds = false;
    t.clock.advance(1_100);
    assert.equal(outcome(await t.present("another")), "accepted");
    assert.deepEqual(t.outages, ["begun", "over"]);
    assert.equal(outcome(await t.present("one more")), "accepted");
  });

  test("no more than so many questions at once, and few of them for one address", async () => {
    await using t = await setUp({ maxInFlight: 16 });
    await t.present("first");
    t.provider.holds = true;
    const flood = Array.from({ length: 50 }, (_, at) => t.present(`made-up-${at}`));
    await waitFor(() => t.held.length === 2, { what: "the flood's questions" });
    const outcomes = await Promise.all(flood.slice(2));
    assert.deepEqual(new Set(outcomes.map(outcome)), new Set(["busy"]));
    // Others are not kept out by it.
    const others = Array.from({ length: 20 }, (_, at) =>
      t.present(`other-${at}`, { network: `198.51.100.${at}` }),
    );
    await waitFor(() => t.held.length === 16, { what: "other questions" });
    for (const send of t.held) send();
    const rest = (await Promise.all(others)).map(outcome);
    assert.equal(rest.filter((one) => one === "accepted").length, 14);
    assert.equal(rest.filter((one) => one === "busy").length, 6);
    await Promise.all(flood);
    t.provider.holds = false;
    assert.equal(outcome(await t.present("later")), "accepted");
  });

  test("a caller who leaves ends nothing for the others", async () => {
    await using t = await setUp();
    t.provider.holds = true;
    const caller = new AbortController();
    const leaving = t.present("token", { signal: caller.signal });
    const staying = t.present("token");
    await waitFor(() => t.held.length === 1, { what: "the question" });
    caller.abort();
    await assert.rejects(leaving);
    t.held[0]?.();
    assert.equal(outcome(await staying), "accepted");
  });
});
