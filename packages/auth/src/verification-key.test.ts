import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { describe, test } from "node:test";
import { makeKey } from "../test/tokens.ts";
import { isRocaModulus } from "./roca.ts";
import { vetKey } from "./verification-key.ts";

const rsa = makeKey("RS256", "rsa").jwk;
const ec = makeKey("ES256", "ec").jwk;
const okp = makeKey("EdDSA", "okp").jwk;

describe("vetKey()", () => {
  test("refuses weak, private, symmetric, misused and malformed keys", () => {
    const weak = generateKeyPairSync("rsa", { modulusLength: 1_024 }).publicKey;
    const secret = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
    const hostile: Record<string, unknown> = {
      "1024 bits": weak.export({ format: "jwk" }),
      "exponent 1": { ...rsa, e: "AQ" },
      "exponent 3": { ...rsa, e: "Aw" },
      "even exponent": { ...rsa, e: "AQAC" },
      "huge exponent": { ...rsa, e: "AQAAAAE" },
      "even modulus": { ...rsa, n: evenModulus(String(rsa["n"])) },
      "huge modulus": { ...rsa, n: Buffer.alloc(1_025, 0xff).toString("base64url") },
      "ROCA modulus": { ...rsa, n: toBase64Url(rocaModulus()) },
      "n is no text": { ...rsa, n: 17 },
      "n with padding": { ...rsa, n: `${String(rsa["n"])}==` },
      symmetric: { kty: "oct", k: "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA" },
      "symmetric in disguise": { ...rsa, k: "c2VjcmV0" },
      "private EC": secret.export({ format: "jwk" }),
      "private RSA member": { ...rsa, d: "AQAB" },
      "for encryption": { ...rsa, use: "enc" },
      "only for signing": { ...rsa, key_ops: ["sign"] },
      "key_ops as text": { ...rsa, key_ops: "verify" },
      "alg of another type": { ...rsa, alg: "ES256" },
      "alg HS256": { ...rsa, alg: "HS256" },
      "alg for encryption": { ...rsa, alg: "RSA-OAEP" },
      "kid is a number": { ...rsa, kid: 1 },
      "kid is endless": { ...rsa, kid: "k".repeat(257) },
      "point not on the curve": { ...ec, x: String(ec["y"]), y: String(ec["x"]) },
      "curve of Bitcoin": { ...ec, crv: "secp256k1" },
      "EC without y": { ...ec, y: undefined },
      Ed448: generateKeyPairSync("ed448").publicKey.export({ format: "jwk" }),
      "X25519 cannot sign": generateKeyPairSync("x25519").publicKey.export({ format: "jwk" }),
      "OKP without x": { ...okp, x: undefined },
      "no kty": { ...ec, kty: undefined },
      text: "key",
      nothing: null,
      list: [rsa],
    };
    for (const [what, jwk] of Object.entries(hostile)) assert.ok("refused" in vetKey(jwk), what);
  });

  test("allows a key exactly the algorithms of its type, or its own alg", () => {
    const algorithmsOf = (jwk: unknown) => {
      const key = vetKey(jwk);
      assert.ok("algorithms" in key, JSON.stringify(key));
      return [...key.algorithms];
    };
    assert.deepEqual(algorithmsOf(rsa), ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]);
    assert.deepEqual(algorithmsOf({ ...rsa, alg: "PS256" }), ["PS256"]);
    assert.deepEqual(algorithmsOf(ec), ["ES256"]);
    assert.deepEqual(algorithmsOf(makeKey("ES512", "ec").jwk), ["ES512"]);
    assert.deepEqual(algorithmsOf(okp), ["EdDSA"]);
    assert.deepEqual(algorithmsOf({ ...okp, alg: "Ed25519" }), ["EdDSA"]);
    assert.deepEqual(algorithmsOf({ ...rsa, use: "sig", key_ops: ["verify"] }).length, 6);
  });

  test("makes the thumbprint of RFC 7638 §3.1", () => {
    const key = vetKey({
      kty: "RSA",
      n: "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
      e: "AQAB",
    });
    assert.ok("thumbprint" in key);
    assert.equal(key.thumbprint, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
  });
});

test("isRocaModulus() finds the structure of the broken library, and not in sound keys", () => {
  assert.equal(isRocaModulus(rocaModulus()), true);
  assert.equal(isRocaModulus(rocaModulus() + 2n), false);
  assert.equal(isRocaModulus(toInteger(String(rsa["n"]))), false);
});

/** 2048 bits, a power of 65537 modulo the product of the first 39 primes; whether it is a product does not matter. */
function rocaModulus(): bigint {
  const primes = [
    2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
    101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
  ];
  const product = primes.reduce((sum, prime) => sum * BigInt(prime), 1n);
  const power = 65_537n ** 12n % product;
  return product * ((1n << 2_047n) / product + 1n) + power;
}

const toInteger = (text: string): bigint =>
  BigInt(`0x${Buffer.from(text, "base64url").toString("hex")}`);
const toBase64Url = (value: bigint): string =>
  Buffer.from(value.toString(16).padStart(512, "0"), "hex").toString("base64url");
const evenModulus = (n: string): string => toBase64Url(toInteger(n) - 1n);
