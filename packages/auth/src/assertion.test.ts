import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { manualClock, systemRandom } from "@tidegate/clock";
import { jsonServer } from "../test/json-server.ts";
import { makeKey, makeToken } from "../test/tokens.ts";
import { loadAssertionKeys, rotateAssertionKeys } from "./assertion-keys.ts";
import { createAssertionSigner, type AssertionAudience } from "./assertion-signer.ts";
import { AssertionRefused, createAssertionVerifier } from "./assertion-verifier.ts";
import { ANONYMOUS, type Principal } from "./principal.ts";
import { PROFILE_CLAIMS, type Profile, type ProfileClaim } from "./profile.ts";

const START_MS = 1_800_000_000_000;
const ISSUER = "http://localhost:8080";
const TASKS: AssertionAudience = { upstream: "tasks", claims: [] };
const BANK: AssertionAudience = { upstream: "bank", claims: [] };
const JWKS_PATH = "/.tidegate/jwks.json";

const ada: Principal = Object.freeze({
  kind: "person",
  issuer: "https://issuer.example/",
  subject: "ada",
  client: "web",
  scopes: new Set(["tasks:read", "tasks:write"]),
  acr: "urn:example:acr:pwd",
  authTimeSeconds: START_MS / 1_000 - 30,
  issuedAtSeconds: START_MS / 1_000 - 10,
  sessionId: "session-1",
  tokenId: "token-1",
  keyThumbprint: "",
  expiresAtMs: START_MS + 300_000,
});

async function setUp() {
  const folder = mkdtempSync(join(tmpdir(), "auth-"));
  const clock = manualClock(START_MS);
  const random = systemRandom;
  const keys = loadAssertionKeys({ folder, clock, random });
  const server = await jsonServer();
  server.documents.set(JWKS_PATH, keys.jwks);
  const signer = createAssertionSigner({ issuer: ISSUER, keys, clock, random });
  const verifier = createAssertionVerifier({
    issuer: ISSUER,
    audience: "tasks",
    jwksUrl: new URL(JWKS_PATH, server.url),
    clock,
  });
  return {
    folder,
    clock,
    random,
    keys,
    server,
    signer,
    verifier,
    verify: (token: string) => verifier.verify(token, AbortSignal.timeout(5_000)),
    async [Symbol.asyncDispose]() {
      verifier[Symbol.dispose]();
      await server[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true });
    },
  };
}

const refusedAs = (kind: "invalid" | "unavailable") => (error: unknown) =>
  error instanceof AssertionRefused && error.kind === kind;

const claimsOf = (token: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as Record<
    string,
    unknown
  >;

describe("assertion verifier", () => {
  test("verify() refuses what is forged, for others, of others, of another kind or not of now", async () => {
    await using t = await setUp();
    const key = t.keys.signingKey(START_MS);
    const header = { alg: "EdDSA", typ: "tidegate-assertion+jwt", kid: key.keyId };
    const nowSeconds = START_MS / 1_000;
    const claims = {
      iss: ISSUER,
      aud: "tasks",
      iat: nowSeconds,
      exp: nowSeconds + 60,
      jti: "a",
      src: "https://issuer.example/",
      sub: "ada",
      scope: "",
    };
    const signed = (head: object, payload: unknown) => makeToken(head, payload, key.privateKey);
    // What is refused below differs from this one in one thing only.
    assert.equal((await t.verify(signed(header, claims))).subject, "ada");

    const stranger = makeKey("EdDSA", key.keyId);
    const hostile: Record<string, string> = {
      "another key under our kid": makeToken(header, claims, stranger.privateKey),
      "embedded key": makeToken({ ...header, jwk: stranger.jwk }, claims, stranger.privateKey),
      "unknown kid": signed({ ...header, kid: "no-such-key" }, claims),
      "no kid": signed({ alg: header.alg, typ: header.typ }, claims),
      "alg none": `${signed({ ...header, alg: "none" }, claims)
        .split(".")
        .slice(0, 2)
        .join(".")}.`,
      "typ JWT": signed({ ...header, typ: "JWT" }, claims),
      "typ of an access token": signed({ ...header, typ: "at+jwt" }, claims),
      "no typ": signed({ alg: header.alg, kid: header.kid }, claims),
      "another issuer": signed(header, { ...claims, iss: `${ISSUER}/` }),
      "another service": signed(header, { ...claims, aud: "bank" }),
      "audience list": signed(header, { ...claims, aud: ["tasks"] }),
      "no audience": signed(header, { ...claims, aud: undefined }),
      expired: signed(header, { ...claims, iat: nowSeconds - 66, exp: nowSeconds - 6 }),
      "from the future": signed(header, { ...claims, iat: nowSeconds + 6, exp: nowSeconds + 60 }),
      "too long a life": signed(header, { ...claims, exp: nowSeconds + 61 }),
      "exp as text": signed(header, { ...claims, exp: String(nowSeconds + 60) }),
      "no exp": signed(header, { ...claims, exp: undefined }),
      "subject of nobody": signed(header, { ...claims, src: undefined }),
      "empty subject": signed(header, { ...claims, sub: "" }),
      "subject is no text": signed(header, { ...claims, sub: { $ne: "" } }),
      "name is no text": signed(header, { ...claims, name: ["ada"] }),
      "name is empty": signed(header, { ...claims, name: "" }),
      "name with a line end": signed(header, { ...claims, name: "ada\nadmin" }),
      "name without end": signed(header, { ...claims, name: "a".repeat(256) }),
      "email is no text": signed(header, { ...claims, email: { $ne: "" } }),
      "verified as text": signed(header, { ...claims, email: "a@b", email_verified: "true" }),
      "verified as a number": signed(header, { ...claims, email: "a@b", email_verified: 1 }),
      "claims are a list": signed(header, [claims]),
      padding: `${signed(header, claims)}==`,
      "white space": ` ${signed(header, claims)}`,
      empty: "",
    };
    for (const [what, token] of Object.entries(hostile)) {
      await assert.rejects(t.verify(token), refusedAs("invalid"), what);
    }
  });

  test("verify() says unavailable, not invalid, while the keys cannot be had", async () => {
    await using t = await setUp();
    const token = t.signer.assertion(ada, "f", TASKS);
    t.server.documents.delete(JWKS_PATH);
    await assert.rejects(t.verify(token), refusedAs("unavailable"));
    assert.equal(t.verifier.isReady, false);

    // The gateway is back, and the back-off is over.
    t.server.documents.set(JWKS_PATH, t.keys.jwks);
    t.clock.advance(2_000);
    assert.equal((await t.verify(token)).subject, "ada");
    assert.equal(t.verifier.isReady, true);
  });

  test("verify() finds a gateway within seconds that comes long after its services", async () => {
    await using t = await setUp();
    const token = t.signer.assertion(ada, "f", TASKS);
    t.server.documents.delete(JWKS_PATH);
    for (let attempt = 0; attempt < 10; attempt++) {
      // Waits for the attempt that the background began, where there is one.
      await assert.rejects(t.verify(token), refusedAs("unavailable"));
      t.clock.advance(2_200);
    }
    await assert.rejects(t.verify(token), refusedAs("unavailable"));
    t.server.documents.set(JWKS_PATH, t.keys.jwks);
    t.clock.advance(2_200);
    assert.equal((await t.verify(t.signer.assertion(ada, "g", TASKS))).subject, "ada");
  });

  test("verify() asks for keys once for a thousand first callers, and never again for a known token", async () => {
    await using t = await setUp();
    const tokens = Array.from({ length: 1_000 }, (_, i) =>
      t.signer.assertion({ ...ada, subject: `user-${i}` }, `f${i}`, TASKS),
    );
    const identities = await Promise.all(tokens.map(t.verify));
    assert.deepEqual(
      identities.map(({ subject }) => subject),
      tokens.map((_, i) => `user-${i}`),
    );
    await t.verify(tokens[0] ?? "");
    assert.deepEqual(t.server.requests, [JWKS_PATH]);
  });

  test("verify() stops accepting a remembered assertion when it expires or its key is withdrawn", async () => {
    await using t = await setUp();
    const token = t.signer.assertion(ada, "f", TASKS);
    await t.verify(token);
    t.clock.advance(64_000);
    await t.verify(token); // within the tolerance of 5 s
    t.clock.advance(1_000);
    await assert.rejects(t.verify(token), refusedAs("invalid"));

    const second = t.signer.assertion(ada, "f", TASKS);
    await t.verify(second);
    t.server.documents.set(JWKS_PATH, { keys: [makeKey("EdDSA", "other").jwk] });
    await assert.rejects(t.verify(withKeyId(second, "made-up")), refusedAs("invalid"));
    await assert.rejects(t.verify(second), refusedAs("invalid"));
  });

  test("verify() rejects with the signal's reason when the caller leaves", async () => {
    await using t = await setUp();
    t.server.documents.set(JWKS_PATH, () => {}); // never answers
    const caller = new AbortController();
    const waiting = t.verifier.verify(t.signer.assertion(ada, "f", TASKS), caller.signal);
    caller.abort(new Error("client left"));
    await assert.rejects(waiting, /client left/);
  });
});

function withKeyId(token: string, kid: string): string {
  const header = { alg: "EdDSA", typ: "tidegate-assertion+jwt", kid };
  return [
    Buffer.from(JSON.stringify(header)).toString("base64url"),
    ...token.split(".").slice(1),
  ].join(".");
}

describe("assertion signer", () => {
  test("assertion() carries the caller's claims, and none for an anonymous one", async () => {
    await using t = await setUp();
    const token = t.signer.assertion(ada, "f", TASKS);
    const { jti, ...claims } = claimsOf(token);
    assert.match(String(jti), /^[\w-]{22}$/);
    assert.deepEqual(claims, {
      iss: ISSUER,
      aud: "tasks",
      iat: START_MS / 1_000,
      exp: START_MS / 1_000 + 60,
      src: "https://issuer.example/",
      sub: "ada",
      client_id: "web",
      scope: "tasks:read tasks:write",
      acr: "urn:example:acr:pwd",
      auth_time: START_MS / 1_000 - 30,
      sid: "session-1",
    });
    assert.deepEqual(await t.verify(token), {
      source: ada.issuer,
      subject: "ada",
      client: "web",
      scopes: ada.scopes,
      acr: ada.acr,
      authTimeSeconds: ada.authTimeSeconds,
      sessionId: "session-1",
      profile: {},
      expiresAtMs: START_MS + 60_000,
    });

    const anonymous = t.signer.assertion(ANONYMOUS, "", TASKS);
    assert.deepEqual(Object.keys(claimsOf(anonymous)), ["iss", "aud", "iat", "exp", "jti"]);
    const { subject, source, scopes } = await t.verify(anonymous);
    assert.deepEqual({ subject, source, scopes }, { subject: "", source: "", scopes: new Set() });
  });

  test("assertion() never outlives the credential, and does not sign again for nothing near its end", async () => {
    await using t = await setUp();
    const ending = { ...ada, expiresAtMs: START_MS + 10_000 };
    const token = t.signer.assertion(ending, "f", TASKS);
    assert.equal(claimsOf(token)["exp"], START_MS / 1_000 + 10);
    t.clock.advance(9_000);
    assert.equal(t.signer.assertion(ending, "f", TASKS), token);
  });

  test("assertion() is remembered per credential and upstream, and signed anew before it ends", async () => {
    await using t = await setUp();
    const token = t.signer.assertion(ada, "f", TASKS);
    assert.equal(t.signer.assertion(ada, "f", TASKS), token);
    assert.equal(claimsOf(t.signer.assertion(ada, "f", BANK))["aud"], "bank");
    assert.notEqual(t.signer.assertion(ada, "g", TASKS), token);

    t.clock.advance(44_999);
    assert.equal(t.signer.assertion(ada, "f", TASKS), token);
    t.clock.advance(1);
    assert.notEqual(t.signer.assertion(ada, "f", TASKS), token);
  });

  test("assertion() follows a replaced principal at once, though the credential is the same", async () => {
    await using t = await setUp();
    t.signer.assertion(ada, "f", TASKS);
    const narrowed = { ...ada, scopes: new Set(["tasks:read"]) };
    assert.equal(claimsOf(t.signer.assertion(narrowed, "f", TASKS))["scope"], "tasks:read");
  });

  test("assertion() says of a person what was asked for and is known, and to nobody else", async () => {
    await using t = await setUp();
    const profile: Profile = Object.freeze({ name: "Ada", email: "ada@example.org" });
    const known = Object.freeze({ ...ada, profile });
    const asks = (...claims: ProfileClaim[]): AssertionAudience => ({ upstream: "tasks", claims });
    const profileIn = (token: string) => {
      const { name, preferred_username, email, email_verified } = claimsOf(token);
      return { name, preferred_username, email, email_verified };
    };
    const none = {
      name: undefined,
      preferred_username: undefined,
      email: undefined,
      email_verified: undefined,
    };
    const full = t.signer.assertion(known, "f", asks(...PROFILE_CLAIMS));
    assert.deepEqual(profileIn(full), { ...none, ...profile });
    // The same credential on routes that ask for less, asked before and after.
    const bare = t.signer.assertion(known, "f", TASKS);
    assert.deepEqual(profileIn(bare), none);
    const named = t.signer.assertion(known, "f", asks("name"));
    assert.deepEqual(profileIn(named), { ...none, name: "Ada" });
    assert.equal(t.signer.assertion(known, "f", asks(...PROFILE_CLAIMS)), full);
    assert.equal(t.signer.assertion(known, "f", asks(...PROFILE_CLAIMS.toReversed())), full);
    assert.equal(t.signer.assertion(known, "f", TASKS), bare);
    assert.equal(t.signer.assertion(known, "f", asks("name")), named);
    assert.deepEqual(profileIn(t.signer.assertion(ada, "g", asks("name"))), none);
    assert.deepEqual(profileIn(t.signer.assertion(ANONYMOUS, "", asks("name"))), none);

    const identity = await t.verify(full);
    assert.deepEqual(identity.profile, profile);
    assert.ok(Object.isFrozen(identity.profile));
  });

  test("assertion() remembers the latest audiences of a caller, and signs the others anew", async () => {
    await using t = await setUp();
    const audiences = Array.from({ length: 17 }, (_, i) => ({ upstream: `u${i}`, claims: [] }));
    const tokens = audiences.map((audience) => t.signer.assertion(ada, "f", audience));
    for (const [i, token] of tokens.entries()) {
      if (i > 0)
        assert.equal(t.signer.assertion(ada, "f", audiences[i] as AssertionAudience), token);
      assert.equal(claimsOf(token)["aud"], `u${i}`);
    }
    assert.notEqual(t.signer.assertion(ada, "f", { upstream: "u0", claims: [] }), tokens[0]);
  });

  test("assertion() is signed anew after the clock was set back", async () => {
    await using t = await setUp();
    const token = t.signer.assertion(ada, "f", TASKS);
    t.clock.stepWall(-3_600_000);
    assert.notEqual(t.signer.assertion(ada, "f", TASKS), token);
  });
});

describe("assertion keys", () => {
  test("loadAssertionKeys() makes one key at the first start, for the owner's eyes only, and keeps it", async () => {
    await using t = await setUp();
    const path = join(t.folder, "assertion-keys.json");
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.deepEqual(loadAssertionKeys(t).jwks, t.keys.jwks);
    const [jwk] = t.keys.jwks.keys;
    assert.deepEqual(Object.keys(jwk ?? {}).sort(), ["alg", "crv", "kid", "kty", "use", "x"]);
  });

  test("loadAssertionKeys() refuses a damaged file, does not replace it and does not quote it", async () => {
    await using t = await setUp();
    const path = join(t.folder, "assertion-keys.json");
    const damaged = readFileSync(path, "utf8").slice(0, -10);
    writeFileSync(path, damaged);
    assert.throws(
      () => loadAssertionKeys(t),
      ({ message }: Error) => message.includes(path) && !message.includes('"d"'),
    );
    assert.equal(readFileSync(path, "utf8"), damaged);
  });

  test("rotateAssertionKeys() publishes the next key before it signs, and drops the old one a day after", async () => {
    await using t = await setUp();
    const old = t.keys.signingKey(START_MS).keyId;
    const rotated = rotateAssertionKeys({ ...t, publishAheadMs: 3_600_000 });
    assert.equal(rotated.jwks.keys.length, 2);
    assert.equal(rotated.signingKey(START_MS + 3_599_999).keyId, old);
    assert.notEqual(rotated.signingKey(START_MS + 3_600_000).keyId, old);

    t.clock.advance(3_600_000 + 86_400_000);
    const later = rotateAssertionKeys({ ...t, publishAheadMs: 3_600_000 });
    assert.equal(later.jwks.keys.length, 2);
    assert.ok(later.all.every(({ keyId }) => keyId !== old));
  });
});
