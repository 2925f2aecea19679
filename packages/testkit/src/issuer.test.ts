import assert from "node:assert/strict";
import { test } from "node:test";
import { manualClock } from "@tidegate/clock";
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify, type JSONWebKeySet } from "jose";
import { issuer, type IssuerAlgorithm } from "./issuer.ts";

async function jwksOf(url: string): Promise<Response> {
  const discovered = (await (
    await fetch(`${url}/.well-known/openid-configuration`)
  ).json()) as Record<string, string>;
  assert.equal(discovered["issuer"], url);
  return fetch(discovered["jwks_uri"] ?? "");
}

test("mint() makes tokens of every algorithm that verify with the published keys", async () => {
  await using provider = await issuer();
  const keys = createLocalJWKSet((await (await jwksOf(provider.url)).json()) as JSONWebKeySet);
  for (const algorithm of ["RS256", "ES256", "EdDSA"] as IssuerAlgorithm[]) {
    const token = await provider.mint({ scope: "a b", jti: undefined }, { algorithm });
    const { payload, protectedHeader } = await jwtVerify(token, keys, {
      issuer: provider.url,
      audience: "https://api.test",
      typ: "at+jwt",
    });
    assert.equal(protectedHeader.alg, algorithm);
    assert.equal(payload["scope"], "a b");
    assert.equal("jti" in payload, false);
  }
  assert.deepEqual(provider.fetches, { discovery: 1, jwks: 1 });
});

test("rotate() signs with new keys and drops or keeps the old ones", async () => {
  await using provider = await issuer({ algorithms: ["ES256"] });
  const old = decodeProtectedHeader(await provider.mint()).kid;
  await provider.rotate({ keepsOld: true });
  const next = decodeProtectedHeader(await provider.mint()).kid;
  assert.notEqual(next, old);
  assert.deepEqual(
    provider.keySet().keys.map((key) => key.kid),
    [next, old],
  );
  await provider.rotate({ keepsOld: false });
  assert.equal(provider.keySet().keys.length, 1);
});

test("mint() takes its times from the clock and its header from the test", async () => {
  await using provider = await issuer({ algorithms: ["EdDSA"], clock: manualClock(5_000_000) });
  const token = await provider.mint({}, { header: { typ: "JWT", kid: undefined } });
  const payload = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString());
  assert.deepEqual([payload.iat, payload.exp], [5_000, 5_300]);
  assert.deepEqual(decodeProtectedHeader(token), { alg: "EdDSA", typ: "JWT" });
});

test("an outage shows at the next fetch and is counted", async () => {
  await using provider = await issuer({ algorithms: ["EdDSA"] });
  const url = `${provider.url}/jwks.json`;
  provider.outage = "error";
  assert.equal((await fetch(url)).status, 500);
  provider.outage = "garbage";
  await assert.rejects((await fetch(url)).json());
  provider.outage = "cut";
  await assert.rejects(fetch(url));
  provider.outage = "silence";
  await assert.rejects(fetch(url, { signal: AbortSignal.timeout(50) }), { name: "TimeoutError" });
  assert.equal(provider.fetches.jwks, 4);
});
