import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { describe, test } from "node:test";
import { manualClock } from "@tidegate/clock";
import { issuer as startIssuer, waitFor } from "@tidegate/testkit";
import { makeKey, makeToken } from "../test/tokens.ts";
import { createAccessTokenVerifier } from "./access-token-verifier.ts";
import { tokenFingerprint } from "./token-memory.ts";
import { parseToken } from "./token-shape.ts";
import {
  AUDIENCE,
  NOW,
  outcome,
  random,
  RSA,
  setUpVerifier,
} from "../test/access-token-fixture.ts";

describe("access token: keys out of reach", () => {
  test("verify() asks once for a thousand first tokens", async () => {
    await using issuing = await startIssuer({ algorithms: ["EdDSA"] });
    const verifier = createAccessTokenVerifier({
      issuer: issuing.url,
      audience: AUDIENCE,
      algorithms: ["EdDSA"],
      tokenTypes: ["at+jwt"],
      clockToleranceSeconds: 5,
      maxTokenLifetimeSeconds: 3_600,
      maxKeyAgeMs: 3_600_000,
      clock: manualClock(Date.now()),
      random,
    });
    const tokens = await Promise.all(Array.from({ length: 1_000 }, () => issuing.mint()));
    const results = await Promise.all(
      tokens.map(async (text) => {
        const parts = parseToken(text);
        assert.ok(parts);
        const token = { text, parts, fingerprint: tokenFingerprint(text) };
        return verifier.verify(token, AbortSignal.timeout(10_000));
      }),
    );
    assert.deepEqual(new Set(results.map(outcome)), new Set(["accepted"]));
    assert.deepEqual({ ...issuing.fetches }, { discovery: 1, jwks: 1 });
    verifier[Symbol.dispose]();
  });

  test("a thousand made-up key ids cost one fetch per cool-down and neither delay nor fail good tokens", async () => {
    await using t = await setUpVerifier();
    await t.present(t.sign());
    assert.equal(t.jwksFetches(), 1);
    const flood = (wave: number) =>
      Promise.all(
        Array.from({ length: 1_000 }, (_, i) =>
          t.present(t.sign({ jti: `${wave}.${i}` }, { kid: `bogus-${wave}-${i}` })),
        ),
      );
    const first = await flood(1);
    assert.deepEqual(new Set(first.map(outcome)), new Set(["key-unknown"]));
    assert.equal(t.jwksFetches(), 1);

    // After the cool-down one of them makes us ask again; the answer does not come.
    t.clock.advance(10_000);
    let answerKeys = (): void => assert.fail("not asked");
    t.server.documents.set("/keys", (response: ServerResponse) => {
      answerKeys = () => void response.end(JSON.stringify({ keys: [RSA.jwk] }));
    });
    const second = flood(2);
    await waitFor(() => t.jwksFetches() === 2, { what: "the keys" });
    // Meanwhile a good token that was never seen is accepted.
    assert.equal(outcome(await t.present(t.sign({ jti: "good" }))), "accepted");
    answerKeys();
    const outcomes = (await second).map(outcome);
    // Few wait for the fetch; the rest are told to come back, which holds nothing in memory.
    assert.ok(outcomes.filter((name) => name === "key-unknown").length <= 64);
    assert.deepEqual(new Set(outcomes), new Set(["key-unknown", "unavailable"]));
    assert.equal(t.jwksFetches(), 2);
  });

  test("failures count for the cool-down too, and back off", async () => {
    await using t = await setUpVerifier();
    t.server.documents.delete("/keys");
    for (let second = 0; second < 60; second++) {
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, i) => t.present(t.sign({ jti: `${second}.${i}` }))),
      );
      assert.deepEqual(new Set(results.map(outcome)), new Set(["unavailable"]));
      t.clock.advance(1_000);
    }
    // 1, 2, 4, 8, 16 and 32 s between attempts.
    assert.ok(t.jwksFetches() <= 7, String(t.jwksFetches()));
  });

  test("an issuer down for an hour costs no known caller anything, then tokens fail closed as unavailable", async () => {
    await using t = await setUpVerifier({ maxKeyAgeMs: 7_200_000 });
    await t.present(t.sign());
    t.server.documents.clear();
    t.clock.advance(3_600_000);
    const fresh = t.sign({ iat: NOW + 3_600, exp: NOW + 3_900 });
    assert.equal(outcome(await t.present(fresh)), "accepted");
    assert.equal(t.verifier.isReady, true);
    await waitFor(() => !t.verifier.isCurrent, { what: "the keys" });
    // A new key cannot be told from a made-up one now.
    const unknown = t.sign({ iat: NOW + 3_600, exp: NOW + 3_900 }, { kid: "new" });
    assert.equal(outcome(await t.present(unknown)), "unavailable");

    t.clock.advance(3_600_000);
    const late = t.sign({ iat: NOW + 7_200, exp: NOW + 7_500 });
    const result = await t.present(late);
    assert.equal(outcome(result), "unavailable");
    assert.ok(result.outcome === "unavailable" && result.retryAfterMs >= 1_000);
    assert.equal(t.verifier.isReady, false);
  });

  test("a new key is picked up by the first token that names it", async () => {
    await using t = await setUpVerifier();
    await t.present(t.sign());
    const next = makeKey("RS256", "next");
    t.server.documents.set("/keys", { keys: [RSA.jwk, next.jwk] });
    t.clock.advance(10_000);
    const token = makeToken({ ...t.header, kid: "next" }, t.claims, next.privateKey);
    assert.equal(outcome(await t.present(token)), "accepted");
    assert.equal(t.jwksFetches(), 2);
  });

  test("an empty key set ends every token, as unavailable and not as invalid", async () => {
    await using t = await setUpVerifier();
    const token = t.sign();
    await t.present(token);
    t.server.documents.set("/keys", { keys: [] });
    t.clock.advance(10_000);
    await t.present(t.sign({}, { kid: "x" }));
    assert.equal(t.verifier.recall(tokenFingerprint(token)), undefined);
    assert.equal(outcome(await t.present(token)), "unavailable");
  });
});
