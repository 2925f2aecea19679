import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { describe, test } from "node:test";
import { waitFor } from "@tidegate/testkit";
import { encode, makeKey, makeToken, signature } from "../test/tokens.ts";
import { SIGNATURE_ALGORITHMS } from "./token-header.ts";
import { tokenFingerprint } from "./token-memory.ts";
import { NOW, outcome, RSA, setUpVerifier, STRANGER } from "../test/access-token-fixture.ts";

describe("access token: algorithms and keys", () => {
  test("verify() refuses every way to choose one's own key or algorithm", async () => {
    await using t = await setUpVerifier();
    assert.equal(outcome(await t.present(t.sign())), "accepted");

    const body = encode(t.claims);
    const pem = RSA.publicKey.export({ type: "spki", format: "pem" });
    const hmac = (header: object, secret: string) => {
      const input = `${encode(header)}.${body}`;
      return `${input}.${createHmac("sha256", secret).update(input).digest("base64url")}`;
    };
    const forged = (header: object) =>
      makeToken({ ...t.header, ...header }, t.claims, STRANGER.privateKey);
    const hostile: Record<string, string> = {
      "alg none": `${encode({ ...t.header, alg: "none" })}.${body}.AA`,
      "alg None": `${encode({ ...t.header, alg: "None" })}.${body}.AA`,
      "alg empty": `${encode({ ...t.header, alg: "" })}.${body}.AA`,
      "alg missing": `${encode({ typ: "at+jwt", kid: "rsa" })}.${body}.AA`,
      "alg list": `${encode({ ...t.header, alg: ["RS256"] })}.${body}.AA`,
      "HS256 with our public key": hmac({ ...t.header, alg: "HS256" }, pem),
      "HS256 with the JWK": hmac({ ...t.header, alg: "HS256" }, JSON.stringify(RSA.jwk)),
      "RS512, not configured": t.sign({}, { alg: "RS512" }),
      "RS256 in lower case": t.sign({}, { alg: "rs256" }),
      "another key under the same kid": forged({}),
      "embedded jwk": forged({ jwk: STRANGER.jwk }),
      jku: forged({ jku: "https://attacker.example/keys" }),
      x5u: forged({ x5u: "https://attacker.example/chain" }),
      x5c: forged({ x5c: ["MIIB"] }),
      "crit, honestly signed": t.sign({}, { crit: ["exp"], exp: NOW }),
      "b64, honestly signed": t.sign({}, { b64: false, crit: ["b64"] }),
      zip: t.sign({}, { zip: "DEF" }),
      "kid as path": forged({ kid: "../../dev/null" }),
      "kid as query": forged({ kid: "rsa' OR '1'='1" }),
      "kid as object": forged({ kid: { $ne: "" } }),
      "kid of the prototype": forged({ kid: "__proto__" }),
      "RSA kid with ES256": `${encode({ ...t.header, alg: "ES256" })}.${body}.${Buffer.alloc(64).toString("base64url")}`,
      "PS256 header on an RS256 signature": swapHeader(t.sign(), { ...t.header, alg: "PS256" }),
      "signature of zeros": `${encode(t.header)}.${body}.${Buffer.alloc(256).toString("base64url")}`,
      "short signature": `${encode(t.header)}.${body}.AA`,
      "claims changed after signing": swapPayload(t.sign(), { ...t.claims, sub: "grace" }),
    };
    for (const [what, token] of Object.entries(hostile)) {
      const result = await t.present(token);
      assert.equal(result.outcome, "invalid", `${what}: ${outcome(result)}`);
    }
  });

  test("verify() accepts RS256, PS256, ES256, ES512 and EdDSA, each only with its own key", async () => {
    const es256 = makeKey("ES256", "es256");
    const es512 = makeKey("ES512", "es512");
    const ed = makeKey("EdDSA", "ed");
    await using t = await setUpVerifier({ keys: [RSA.jwk, es256.jwk, es512.jwk, ed.jwk] });
    for (const [alg, key, kid] of [
      ["RS256", RSA, "rsa"],
      ["PS256", RSA, "rsa"],
      ["ES256", es256, "es256"],
      ["ES512", es512, "es512"],
      ["EdDSA", ed, "ed"],
    ] as const) {
      const input = `${encode({ ...t.header, alg, kid })}.${encode(t.claims)}`;
      const token = `${input}.${signature(alg, input, key.privateKey)}`;
      assert.equal(outcome(await t.present(token)), "accepted", alg);
      // The same key under another algorithm's name.
      for (const other of SIGNATURE_ALGORITHMS.filter((name) => name !== alg)) {
        const crossed = swapHeader(token, { ...t.header, alg: other, kid });
        assert.equal((await t.present(crossed)).outcome, "invalid", `${alg} as ${other}`);
      }
    }
  });

  test("verify() refuses the other spellings of a good token, even once it is remembered", async () => {
    const es256 = makeKey("ES256", "es256");
    await using t = await setUpVerifier({ keys: [es256.jwk] });
    const token = makeToken(
      { ...t.header, alg: "ES256", kid: "es256" },
      t.claims,
      es256.privateKey,
    );
    assert.equal(outcome(await t.present(token)), "accepted");
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const variants = alphabet.split("").map((last) => token.slice(0, -1) + last);
    const accepted: string[] = [];
    for (const text of [...variants, `${token}==`, `${token} `, ` ${token}`]) {
      if ((await t.present(text)).outcome === "accepted") accepted.push(text);
    }
    assert.deepEqual(accepted, [token]);
  });

  test("verify() accepts a token without kid only if exactly one key fits", async () => {
    const bare = { alg: "RS256", typ: "at+jwt", kid: undefined };
    await using one = await setUpVerifier();
    assert.equal(outcome(await one.present(one.sign({}, bare))), "accepted");
    await using two = await setUpVerifier({ keys: [RSA.jwk, makeKey("RS256", "other").jwk] });
    assert.equal(outcome(await two.present(two.sign({}, bare))), "key-unknown");
  });

  test("verify() leaves weak keys of the issuer unused and keeps the good ones", async () => {
    const ed = makeKey("EdDSA", "ed");
    await using t = await setUpVerifier({
      keys: [{ ...RSA.jwk, e: "AQ" }, { kty: "oct", k: "AA" }, ed.jwk],
    });
    assert.equal(outcome(await t.present(t.sign())), "key-unknown");
    const token = makeToken({ ...t.header, alg: "EdDSA", kid: "ed" }, t.claims, ed.privateKey);
    assert.equal(outcome(await t.present(token)), "accepted");
  });
});

function swapHeader(token: string, header: object): string {
  return [encode(header), ...token.split(".").slice(1)].join(".");
}

function swapPayload(token: string, payload: object): string {
  const [header = "", , last = ""] = token.split(".");
  return [header, encode(payload), last].join(".");
}

describe("access token: memory", () => {
  test("recall() knows accepted tokens alone, and forgets them at exp", async () => {
    await using t = await setUpVerifier();
    const token = t.sign();
    const first = await t.present(token);
    assert.ok(first.outcome === "accepted");
    const remembered = t.verifier.recall(tokenFingerprint(token));
    assert.ok(remembered !== undefined);
    // The same object: whoever compares principals by identity sees that nothing changed.
    assert.equal(remembered.principal, first.principal);

    const wrong = t.sign({ aud: "https://other.test" });
    await t.present(wrong);
    assert.equal(t.verifier.recall(tokenFingerprint(wrong)), undefined);

    t.clock.advance(299_999);
    assert.ok(t.verifier.recall(tokenFingerprint(token)));
    t.clock.advance(1);
    assert.equal(t.verifier.recall(tokenFingerprint(token)), undefined);
  });

  test("recall() forgets a token as soon as its key has left the set, and not when others leave", async () => {
    const ed = makeKey("EdDSA", "ed");
    await using t = await setUpVerifier({ keys: [RSA.jwk, ed.jwk] });
    const long = { exp: NOW + 3_600 };
    const byRsa = t.sign(long);
    const edHeader = { ...t.header, alg: "EdDSA", kid: "ed" };
    const byEd = makeToken(edHeader, { ...t.claims, ...long }, ed.privateKey);
    await t.present(byRsa);
    await t.present(byEd);

    t.server.documents.set("/keys", { keys: [ed.jwk] });
    t.clock.advance(600_000); // the reload in the background
    await waitFor(
      () => t.jwksFetches() === 2 && t.verifier.recall(tokenFingerprint(byRsa)) === undefined,
      { what: "the keys" },
    );
    assert.ok(t.verifier.recall(tokenFingerprint(byEd)));
    assert.equal(outcome(await t.present(byRsa)), "key-unknown");
  });

  test("recall() knows a token for as long as reloads confirm its key", async () => {
    await using t = await setUpVerifier({ maxKeyAgeMs: 900_000 });
    const token = t.sign({ exp: NOW + 3_600 });
    await t.present(token);
    t.clock.advance(600_000);
    await waitFor(() => t.jwksFetches() === 2 && t.verifier.isCurrent, { what: "the reload" });
    // Behind the first load's end of trust, within the second's.
    await waitFor(() => t.clock.pendingTimers === 1, { what: "the next reload to be planned" });
    t.clock.advance(599_000);
    assert.ok(t.verifier.recall(tokenFingerprint(token)));
  });

  test("verify() checks a token once for callers that come at the same time", async () => {
    await using t = await setUpVerifier();
    const token = t.sign();
    const results = await Promise.all(Array.from({ length: 50 }, () => t.present(token)));
    const principals = new Set(
      results.map((result) => (result.outcome === "accepted" ? result.principal : undefined)),
    );
    assert.equal(principals.size, 1);
    assert.ok(!principals.has(undefined));
  });
});
