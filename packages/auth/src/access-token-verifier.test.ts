import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import type { ServerResponse } from "node:http";
import { describe, test } from "node:test";
import { manualClock, type Random } from "@tidegate/clock";
import { issuer as startIssuer, waitFor } from "@tidegate/testkit";
import { jsonServer } from "../test/json-server.ts";
import { encode, makeKey, makeToken, signature } from "../test/tokens.ts";
import { createAccessTokenVerifier } from "./access-token-verifier.ts";
import { SIGNATURE_ALGORITHMS } from "./token-header.ts";
import { tokenFingerprint } from "./token-memory.ts";
import { parseToken } from "./token-shape.ts";
import type { Verification } from "./verification.ts";

const START_MS = 1_800_000_000_000;
const NOW = START_MS / 1_000;
const AUDIENCE = "https://api.test";
const random: Random = { bytes: (count) => Buffer.alloc(count), unit: () => 0.5 };
const RSA = makeKey("RS256", "rsa");
const STRANGER = makeKey("RS256", "rsa");

/** A verifier in front of an issuer whose documents the test writes. */
async function setUp({
  tokenTypes = ["at+jwt"],
  otherAudiences = [] as string[],
  maxKeyAgeMs = 3_600_000,
  keys = [RSA.jwk] as readonly unknown[],
} = {}) {
  const clock = manualClock(START_MS);
  const server = await jsonServer();
  const issuer = server.url.origin;
  const discovery = { issuer, jwks_uri: `${issuer}/keys` };
  server.documents.set("/.well-known/openid-configuration", discovery);
  server.documents.set("/keys", { keys });
  const asked: string[] = [];
  const verifier = createAccessTokenVerifier({
    issuer,
    audience: AUDIENCE,
    otherAudiences,
    fetch(url, init) {
      asked.push(url.href);
      return fetch(url, init);
    },
    algorithms: ["RS256", "PS256", "ES256", "ES512", "EdDSA"],
    tokenTypes,
    clockToleranceSeconds: 5,
    maxTokenLifetimeSeconds: 3_600,
    maxKeyAgeMs,
    clock,
    random,
  });
  const claims = {
    iss: issuer,
    sub: "ada",
    aud: AUDIENCE,
    client_id: "web",
    iat: NOW,
    exp: NOW + 300,
    jti: "1",
  };
  const header = { alg: "RS256", typ: "at+jwt", kid: "rsa" };
  const present = async (text: string): Promise<Verification> => {
    const fingerprint = tokenFingerprint(text);
    const parts = parseToken(text);
    if (parts === undefined) return { outcome: "invalid", why: "shape" };
    return (
      verifier.recall(fingerprint) ??
      verifier.verify({ text, parts, fingerprint }, AbortSignal.timeout(10_000))
    );
  };
  return {
    clock,
    server,
    asked,
    issuer,
    discovery,
    verifier,
    claims,
    header,
    present,
    sign: (changes: object = {}, headerChanges: object = {}) =>
      makeToken({ ...header, ...headerChanges }, { ...claims, ...changes }, RSA.privateKey),
    jwksFetches: () => server.requests.filter((path) => path === "/keys").length,
    async [Symbol.asyncDispose]() {
      verifier[Symbol.dispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

const outcome = (result: Verification): string =>
  result.outcome === "invalid" ? result.why : result.outcome;

describe("access token: algorithms and keys", () => {
  test("verify() refuses every way to choose one's own key or algorithm", async () => {
    await using t = await setUp();
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
    await using t = await setUp({ keys: [RSA.jwk, es256.jwk, es512.jwk, ed.jwk] });
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
    await using t = await setUp({ keys: [es256.jwk] });
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
    await using one = await setUp();
    assert.equal(outcome(await one.present(one.sign({}, bare))), "accepted");
    await using two = await setUp({ keys: [RSA.jwk, makeKey("RS256", "other").jwk] });
    assert.equal(outcome(await two.present(two.sign({}, bare))), "key-unknown");
  });

  test("verify() leaves weak keys of the issuer unused and keeps the good ones", async () => {
    const ed = makeKey("EdDSA", "ed");
    await using t = await setUp({
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

describe("access token: claims", () => {
  test("verify() refuses other issuers, audiences, kinds of token, times and malformed claims", async () => {
    await using t = await setUp();
    const cases: [string, object, string][] = [
      ["issuer with a slash", { iss: `${t.issuer}/` }, "issuer"],
      ["issuer as list", { iss: [t.issuer] }, "issuer"],
      ["no issuer", { iss: undefined }, "issuer"],
      ["another audience", { aud: "https://other.test" }, "audience"],
      ["one audience more", { aud: [AUDIENCE, "https://other.test"] }, "audience"],
      ["audience as prefix", { aud: `${AUDIENCE}.attacker.example` }, "audience"],
      ["no audience", { aud: undefined }, "audience"],
      ["empty audience", { aud: [] }, "audience"],
      ["audience with an object", { aud: [AUDIENCE, {}] }, "audience"],
      ["no exp", { exp: undefined }, "claims"],
      ["exp as text", { exp: String(NOW + 300) }, "claims"],
      ["exp null", { exp: null }, "claims"],
      ["exp in milliseconds", { exp: START_MS + 300_000 }, "claims"],
      ["expired", { iat: NOW - 400, exp: NOW - 5 }, "expired"],
      ["no iat", { iat: undefined }, "claims"],
      ["issued in the future", { iat: NOW + 6, exp: NOW + 300 }, "not-yet-valid"],
      ["nbf in the future", { nbf: NOW + 6 }, "not-yet-valid"],
      ["nbf as text", { nbf: "0" }, "claims"],
      ["lives too long", { exp: NOW + 3_601 }, "lifetime"],
      ["ends before it begins", { iat: NOW + 4, exp: NOW + 3 }, "lifetime"],
      ["no sub", { sub: undefined }, "claims"],
      ["empty sub", { sub: "" }, "claims"],
      ["sub as number", { sub: 1 }, "claims"],
      ["sub with a line break", { sub: "ada\nadmin" }, "claims"],
      ["endless sub", { sub: "a".repeat(256) }, "claims"],
      ["no client", { client_id: undefined }, "claims"],
      ["only azp under at+jwt", { client_id: undefined, azp: "web" }, "claims"],
      ["scope as object", { scope: { read: true } }, "claims"],
      ["scope with a quote", { scope: 'read "write"' }, "claims"],
      ["scope with two blanks", { scope: "read  write" }, "claims"],
      ["scope of numbers", { scope: [1] }, "claims"],
      ["too many scopes", { scope: Array.from({ length: 257 }, (_, i) => `s${i}`) }, "claims"],
      ["acr as number", { acr: 0 }, "claims"],
      ["sid as list", { sid: ["1"] }, "claims"],
      ["bound to a DPoP key", { cnf: { jkt: "x" } }, "proof-of-possession"],
      ["bound to a certificate", { cnf: { "x5t#S256": "x" } }, "proof-of-possession"],
      ["cnf null", { cnf: null }, "proof-of-possession"],
    ];
    for (const [what, changes, why] of cases) {
      assert.equal(outcome(await t.present(t.sign(changes))), why, what);
    }
  });

  test("verify() refuses ID, logout, event and refresh tokens and DPoP proofs, also where typ is only JWT", async () => {
    await using strict = await setUp();
    for (const typ of [
      "JWT",
      "id_token+jwt",
      "logout+jwt",
      "secevent+jwt",
      "dpop+jwt",
      undefined,
    ]) {
      assert.equal(outcome(await strict.present(strict.sign({}, { typ }))), "header", String(typ));
    }
    await using loose = await setUp({ tokenTypes: ["JWT"] });
    const typ = { typ: "JWT" };
    assert.equal(outcome(await loose.present(loose.sign({}, typ))), "accepted");
    const others: Record<string, object> = {
      "ID token": { nonce: "n" },
      "ID token with at_hash": { at_hash: "h" },
      "logout token": { events: { "http://schemas.openid.net/event/backchannel-logout": {} } },
      "DPoP proof": { htm: "GET", htu: "https://api.test/" },
      "ID token of Cognito": { token_use: "id" },
      "ID token of Keycloak": { typ: "ID" },
      "refresh token of Keycloak": { typ: "Refresh" },
    };
    for (const [what, changes] of Object.entries(others)) {
      assert.equal(outcome(await loose.present(loose.sign(changes, typ))), "kind-of-token", what);
    }
  });

  test("verify() reads typ as a media type, and a missing one only where that is configured", async () => {
    await using t = await setUp();
    for (const typ of ["at+jwt", "AT+JWT", "application/at+jwt"]) {
      assert.equal(outcome(await t.present(t.sign({}, { typ }))), "accepted", typ);
    }
    await using absent = await setUp({ tokenTypes: ["absent"] });
    assert.equal(outcome(await absent.present(absent.sign({}, { typ: undefined }))), "accepted");
    assert.equal(outcome(await absent.present(absent.sign({}, { typ: "absent" }))), "header");
  });

  test("verify() fills the principal, and takes doubtful levels for the weakest", async () => {
    await using t = await setUp({ otherAudiences: ["https://userinfo.test"] });
    const result = await t.present(
      t.sign({
        aud: ["https://userinfo.test", AUDIENCE],
        scope: "tasks:read tasks:write",
        acr: "phr",
        auth_time: NOW - 60.5,
        sid: "session",
      }),
    );
    assert.ok(result.outcome === "accepted");
    assert.deepEqual(result.principal, {
      kind: "person",
      issuer: t.issuer,
      subject: "ada",
      client: "web",
      scopes: new Set(["tasks:read", "tasks:write"]),
      acr: "phr",
      authTimeSeconds: NOW - 61,
      sessionId: "session",
      tokenId: "1",
      expiresAtMs: START_MS + 300_000,
    });
    assert.ok(Object.isFrozen(result.principal));

    for (const doubtful of [0, undefined, String(NOW), NOW + 6, -1, null, Number.MAX_VALUE]) {
      const weak = await t.present(t.sign({ auth_time: doubtful }));
      assert.ok(weak.outcome === "accepted");
      assert.equal(weak.principal.authTimeSeconds, 0, String(doubtful));
    }
    const machine = await t.present(t.sign({ sub: "web" }));
    assert.ok(machine.outcome === "accepted");
    assert.equal(machine.principal.kind, "client");
  });

  test("verify() reads scopes and clients as other providers write them", async () => {
    await using t = await setUp({ tokenTypes: ["JWT", "absent"] });
    const okta = t.sign(
      { client_id: undefined, cid: "web", scp: ["tasks:read", "tasks:write"] },
      { typ: undefined },
    );
    const auth0 = t.sign(
      { client_id: undefined, azp: "web", scope: "tasks:read tasks:write" },
      { typ: "JWT" },
    );
    for (const token of [okta, auth0]) {
      const result = await t.present(token);
      assert.ok(result.outcome === "accepted");
      assert.equal(result.principal.client, "web");
      assert.deepEqual(result.principal.scopes, new Set(["tasks:read", "tasks:write"]));
    }
  });
});

describe("access token: memory", () => {
  test("recall() knows accepted tokens alone, and forgets them at exp", async () => {
    await using t = await setUp();
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
    await using t = await setUp({ keys: [RSA.jwk, ed.jwk] });
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
    await using t = await setUp({ maxKeyAgeMs: 900_000 });
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
    await using t = await setUp();
    const token = t.sign();
    const results = await Promise.all(Array.from({ length: 50 }, () => t.present(token)));
    const principals = new Set(
      results.map((result) => (result.outcome === "accepted" ? result.principal : undefined)),
    );
    assert.equal(principals.size, 1);
    assert.ok(!principals.has(undefined));
  });
});

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
    await using t = await setUp();
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
    await using t = await setUp();
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
    await using t = await setUp({ maxKeyAgeMs: 7_200_000 });
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
    await using t = await setUp();
    await t.present(t.sign());
    const next = makeKey("RS256", "next");
    t.server.documents.set("/keys", { keys: [RSA.jwk, next.jwk] });
    t.clock.advance(10_000);
    const token = makeToken({ ...t.header, kid: "next" }, t.claims, next.privateKey);
    assert.equal(outcome(await t.present(token)), "accepted");
    assert.equal(t.jwksFetches(), 2);
  });

  test("an empty key set ends every token, as unavailable and not as invalid", async () => {
    await using t = await setUp();
    const token = t.sign();
    await t.present(token);
    t.server.documents.set("/keys", { keys: [] });
    t.clock.advance(10_000);
    await t.present(t.sign({}, { kid: "x" }));
    assert.equal(t.verifier.recall(tokenFingerprint(token)), undefined);
    assert.equal(outcome(await t.present(token)), "unavailable");
  });
});

describe("access token: discovery", () => {
  test("keys are not taken from metadata of another issuer, by redirect, from afar in clear, or without bound", async () => {
    const hostile: Record<string, (t: Awaited<ReturnType<typeof setUp>>) => void> = {
      "another issuer": (t) => {
        t.server.documents.set("/.well-known/openid-configuration", {
          ...t.discovery,
          issuer: `${t.issuer}/`,
        });
      },
      "keys in clear from afar": (t) => {
        t.server.documents.set("/.well-known/openid-configuration", {
          ...t.discovery,
          jwks_uri: "http://keys.example/",
        });
      },
      "keys from a file": (t) => {
        t.server.documents.set("/.well-known/openid-configuration", {
          ...t.discovery,
          jwks_uri: "file:///etc/passwd",
        });
      },
      redirect: (t) => {
        t.server.documents.set("/elsewhere", { keys: [RSA.jwk] });
        t.server.documents.set("/keys", (response: ServerResponse) =>
          response.writeHead(302, { location: "/elsewhere" }).end(),
        );
      },
      "endless keys": (t) => {
        t.server.documents.set("/keys", { keys: [RSA.jwk], padding: "x".repeat(300_000) });
      },
      "too many keys": (t) => {
        t.server.documents.set("/keys", { keys: Array.from({ length: 65 }, () => RSA.jwk) });
      },
      "a list": (t) => void t.server.documents.set("/keys", [RSA.jwk]),
      "an error page": (t) => {
        t.server.documents.set("/keys", (response: ServerResponse) =>
          response.writeHead(500).end(JSON.stringify({ keys: [RSA.jwk] })),
        );
      },
    };
    for (const [what, prepare] of Object.entries(hostile)) {
      await using t = await setUp();
      prepare(t);
      assert.equal(outcome(await t.present(t.sign())), "unavailable", what);
      assert.ok(!t.server.requests.includes("/elsewhere"), what);
      // Refused before it is asked, not because it does not answer.
      assert.ok(
        t.asked.every((url) => url.startsWith(`${t.issuer}/`)),
        `${what}: ${t.asked.join(" ")}`,
      );
    }
  });

  test("an issuer elsewhere cannot make us ask our own machine for keys", async () => {
    const asked: string[] = [];
    const verifier = createAccessTokenVerifier({
      issuer: "https://issuer.example",
      audience: AUDIENCE,
      algorithms: ["RS256"],
      tokenTypes: ["at+jwt"],
      clockToleranceSeconds: 5,
      maxTokenLifetimeSeconds: 3_600,
      maxKeyAgeMs: 3_600_000,
      clock: manualClock(START_MS),
      random,
      fetch(url) {
        asked.push(url.href);
        const metadata = { issuer: "https://issuer.example", jwks_uri: "http://127.0.0.1:9090/" };
        return Promise.resolve(Response.json(metadata));
      },
      onKeyLoad: ({ error }) => void failures.push(String(error)),
    });
    const failures: string[] = [];
    verifier.start();
    await waitFor(() => failures.length === 1, { what: "the failed load" });
    assert.match(failures[0] ?? "", /keys are on a loopback address/);
    assert.deepEqual(asked, ["https://issuer.example/.well-known/openid-configuration"]);
    verifier[Symbol.dispose]();
  });

  test("metadata is found as OpenID Connect says, else as RFC 8414 says, with the issuer's path", async () => {
    const server = await jsonServer();
    await using _ = server;
    const issuer = `${server.url.origin}/realm/one`;
    server.documents.set("/.well-known/oauth-authorization-server/realm/one", {
      issuer,
      jwks_uri: `${server.url.origin}/keys`,
    });
    server.documents.set("/keys", { keys: [RSA.jwk] });
    const verifier = createAccessTokenVerifier({
      issuer,
      audience: AUDIENCE,
      algorithms: ["RS256"],
      tokenTypes: ["at+jwt"],
      clockToleranceSeconds: 5,
      maxTokenLifetimeSeconds: 3_600,
      maxKeyAgeMs: 3_600_000,
      clock: manualClock(START_MS),
      random,
    });
    verifier.start();
    await waitFor(() => verifier.isReady, { what: "the keys" });
    assert.deepEqual(server.requests, [
      "/realm/one/.well-known/openid-configuration",
      "/.well-known/oauth-authorization-server/realm/one",
      "/keys",
    ]);
    verifier[Symbol.dispose]();
  });

  test("createAccessTokenVerifier() refuses issuers in clear text from afar, with query or with credentials", () => {
    for (const issuer of [
      "http://issuer.example",
      "http://127.0.0.1.attacker.example",
      "http://localhost.attacker.example",
      "https://user:secret@issuer.example",
      "https://issuer.example/?a=1",
      "ftp://issuer.example",
    ]) {
      assert.throws(
        () =>
          createAccessTokenVerifier({
            issuer,
            audience: AUDIENCE,
            algorithms: ["RS256"],
            tokenTypes: ["at+jwt"],
            clockToleranceSeconds: 5,
            maxTokenLifetimeSeconds: 3_600,
            maxKeyAgeMs: 3_600_000,
            clock: manualClock(START_MS),
            random,
          }),
        /^Error: Cannot use/,
        issuer,
      );
    }
  });
});
