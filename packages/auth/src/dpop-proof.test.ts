import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { describe, test } from "node:test";
import { manualClock, systemRandom } from "@tidegate/clock";
import { dpopClient } from "../test/proofs.ts";
import { encode, makeToken } from "../test/tokens.ts";
import { createProofVerifier } from "./dpop-proof.ts";
import { createProofNonces } from "./proof-nonces.ts";
import { attachReplayMemory, createReplayTable } from "./replay-memory.ts";

const NOW = 1_800_000_000;
const TOKEN = "access.token.text";
const HTU = "https://api.test/tasks/1";

function setUp({ slotCount = 1_024, asksNonce = false } = {}) {
  const clock = manualClock(NOW * 1_000);
  const client = dpopClient();
  const replays = attachReplayMemory(createReplayTable({ random: systemRandom, slotCount }));
  const nonces = createProofNonces({ secret: systemRandom.bytes(32), clock });
  const verifier = createProofVerifier({
    algorithms: ["ES256", "EdDSA", "RS256"],
    maxAgeSeconds: 60,
    clockToleranceSeconds: 5,
    replays,
    nonces: asksNonce ? nonces : undefined,
    clock,
  });
  const verify = async (
    proof: string,
    changes: { keyThumbprint?: string; method?: string } = {},
  ) => {
    const answer = await verifier.verify(proof, {
      method: "GET",
      isTarget: (htu) => htu === HTU,
      token: TOKEN,
      keyThumbprint: client.thumbprint,
      ...changes,
    });
    return answer.outcome === "invalid" ? answer.why : answer.outcome;
  };
  const prove = (claims: object = {}, header: object = {}) =>
    client.prove(
      { token: TOKEN, htu: HTU, iat: Math.floor(clock.wallMs() / 1_000) },
      claims,
      header,
    );
  return { clock, client, nonces, verify, prove };
}

describe("DPoP proof (RFC 9449 §4.3)", () => {
  test("verify() refuses every proof that is not exactly what was asked for", async () => {
    const t = setUp();
    const other = dpopClient();
    const rsa = generateKeyPairSync("rsa", { modulusLength: 1_024 });
    const cases: [string, string, string][] = [
      ["no token at all", "", "proof-shape"],
      ["longer than a proof is", "a".repeat(5_000), "proof-shape"],
      ["padded", `${t.prove()}=`, "proof-shape"],
      ["a list of claims", makeToken({ typ: "dpop+jwt" }, [], t.client.privateKey), "proof-shape"],
      ["no typ", t.prove({}, { typ: undefined }), "proof-header"],
      ["typ of access tokens", t.prove({}, { typ: "at+jwt" }), "proof-header"],
      ["typ in other case", t.prove({}, { typ: "DPOP+JWT" }), "proof-header"],
      ["alg none", t.prove({}, { alg: "none" }), "proof-header"],
      ["alg HS256", t.prove({}, { alg: "HS256" }), "proof-header"],
      ["alg as a list", t.prove({}, { alg: ["ES256"] }), "proof-header"],
      ["alg in other case", t.prove({}, { alg: "es256" }), "proof-header"],
      ["alg not configured", t.prove({}, { alg: "PS256" }), "proof-header"],
      ["alg of another key", t.prove({}, { alg: "EdDSA" }), "proof-header"],
      ["no key", t.prove({}, { jwk: undefined }), "proof-header"],
      ["key as text", t.prove({}, { jwk: "x" }), "proof-header"],
      [
        "a private key",
        t.prove({}, { jwk: t.client.privateKey.export({ format: "jwk" }) }),
        "proof-header",
      ],
      ["a symmetric key", t.prove({}, { jwk: { kty: "oct", k: "AA" } }), "proof-header"],
      [
        "a weak key",
        t.prove({}, { alg: "RS256", jwk: rsa.publicKey.export({ format: "jwk" }) }),
        "proof-header",
      ],
      [
        "a key for encryption",
        t.prove({}, { jwk: { ...t.client.publicJwk, use: "enc" } }),
        "proof-header",
      ],
      ["jku", t.prove({}, { jku: "https://attacker.example" }), "proof-header"],
      ["x5u", t.prove({}, { x5u: "https://attacker.example" }), "proof-header"],
      ["crit", t.prove({}, { crit: ["exp"] }), "proof-header"],
      ["another client's key", other.prove({ token: TOKEN, htu: HTU, iat: NOW }), "proof-key"],
      [
        "this client's key, signed by another",
        other.prove({ token: TOKEN, htu: HTU, iat: NOW }, {}, { jwk: t.client.publicJwk }),
        "proof-signature",
      ],
      ["another method", t.prove({ htm: "POST" }), "proof-target"],
      ["method in other case", t.prove({ htm: "get" }), "proof-target"],
      ["no method", t.prove({ htm: undefined }), "proof-target"],
      ["another address", t.prove({ htu: "https://api.test/tasks/2" }), "proof-target"],
      ["address as a list", t.prove({ htu: [HTU] }), "proof-target"],
      ["no ath", t.prove({ ath: undefined }), "proof-token"],
      [
        "ath of another token",
        t.prove({ ath: "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo" }),
        "proof-token",
      ],
      ["no iat", t.prove({ iat: undefined }), "proof-time"],
      ["iat as text", t.prove({ iat: String(NOW) }), "proof-time"],
      ["too old", t.prove({ iat: NOW - 65 }), "proof-time"],
      ["from the future", t.prove({ iat: NOW + 6 }), "proof-time"],
      ["over by its own exp", t.prove({ exp: NOW - 5 }), "proof-time"],
      ["not yet by its own nbf", t.prove({ nbf: NOW + 6 }), "proof-time"],
      ["no jti", t.prove({ jti: undefined }), "proof-shape"],
      ["empty jti", t.prove({ jti: "" }), "proof-shape"],
      ["endless jti", t.prove({ jti: "a".repeat(257) }), "proof-shape"],
      ["jti as number", t.prove({ jti: 1 }), "proof-shape"],
    ];
    for (const [what, proof, why] of cases) assert.equal(await t.verify(proof), why, what);
    assert.equal(await t.verify(t.prove(), { method: "POST" }), "proof-target");
    const [header = "", , signature = ""] = t.prove().split(".");
    const forged = `${header}.${encode({ jti: "x", htm: "GET", htu: HTU, iat: NOW })}.${signature}`;
    assert.equal(await t.verify(forged), "proof-token");
  });

  test("verify() accepts a good proof once, in all of its time", async () => {
    const t = setUp();
    const proof = t.prove();
    assert.equal(await t.verify(proof), "good");
    assert.equal(await t.verify(proof), "proof-replayed");
    // The same jti in another proof, too.
    assert.equal(await t.verify(t.prove({ jti: "once" })), "good");
    assert.equal(await t.verify(t.prove({ jti: "once", nbf: NOW })), "proof-replayed");
    t.clock.advance(64_900);
    assert.equal(await t.verify(proof), "proof-replayed");
    t.clock.advance(100);
    assert.equal(await t.verify(proof), "proof-time");
    // At both ends of the window.
    assert.equal(await t.verify(t.prove({ iat: NOW + 65 + 5 })), "good");
    assert.equal(await t.verify(t.prove({ iat: NOW + 65 - 64 })), "good");
  });

  test("verify() uses no jti up for who cannot sign", async () => {
    const t = setUp();
    const other = dpopClient();
    const stolen = other.prove(
      { token: TOKEN, htu: HTU, iat: NOW },
      { jti: "mine" },
      { jwk: t.client.publicJwk },
    );
    assert.equal(await t.verify(stolen), "proof-signature");
    assert.equal(await t.verify(t.prove({ jti: "mine" })), "good");
  });

  test("verify() asks for a nonce, and takes it for some minutes", async () => {
    const t = setUp({ asksNonce: true });
    assert.equal(await t.verify(t.prove()), "nonce");
    assert.equal(await t.verify(t.prove({ nonce: "made up" })), "nonce");
    assert.equal(await t.verify(t.prove({ nonce: 1 })), "nonce");
    const nonce = t.nonces.current;
    assert.equal(await t.verify(t.prove({ nonce })), "good");
    t.clock.advance(120_000);
    assert.equal(await t.verify(t.prove({ nonce })), "good");
    t.clock.advance(120_000);
    assert.equal(await t.verify(t.prove({ nonce })), "nonce");
    assert.notEqual(t.nonces.current, nonce);
  });

  test("verify() accepts nothing that it cannot remember", async () => {
    const t = setUp({ slotCount: 16 });
    const outcomes: string[] = [];
    for (let count = 0; count < 20; count++) outcomes.push(await t.verify(t.prove()));
    assert.deepEqual(
      outcomes,
      Array.from({ length: 20 }, (_, at) => (at < 16 ? "good" : "busy")),
    );
    // Room again as soon as the first cannot be replayed any more.
    t.clock.advance(75_000);
    assert.equal(await t.verify(t.prove()), "good");
  });
});
