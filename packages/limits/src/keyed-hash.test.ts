import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import { KeyedHash } from "./keyed-hash.ts";

const SECRET = Uint8Array.from({ length: 16 }, (_, index) => index);

/** SipHash with 64-bit numbers, as the paper writes it; blocks given as whole words. */
function sipHash(
  words: readonly bigint[],
  rounds: { compression: number; finalization: number },
): bigint {
  const mask = 2n ** 64n - 1n;
  const turn = (value: bigint, by: bigint): bigint =>
    ((value << by) | (value >> (64n - by))) & mask;
  const [k0, k1] = [0x0706050403020100n, 0x0f0e0d0c0b0a0908n];
  let v0 = k0 ^ 0x736f6d6570736575n;
  let v1 = k1 ^ 0x646f72616e646f6dn;
  let v2 = k0 ^ 0x6c7967656e657261n;
  let v3 = k1 ^ 0x7465646279746573n;
  const round = (times: number): void => {
    for (let time = 0; time < times; time++) {
      v0 = (v0 + v1) & mask;
      v2 = (v2 + v3) & mask;
      v1 = turn(v1, 13n) ^ v0;
      v3 = turn(v3, 16n) ^ v2;
      v0 = turn(v0, 32n);
      v2 = (v2 + v1) & mask;
      v0 = (v0 + v3) & mask;
      v1 = turn(v1, 17n) ^ v2;
      v3 = turn(v3, 21n) ^ v0;
      v2 = turn(v2, 32n);
    }
  };
  for (const word of words) {
    v3 ^= word;
    round(rounds.compression);
    v0 ^= word;
  }
  v2 ^= 0xffn;
  round(rounds.finalization);
  return v0 ^ v1 ^ v2 ^ v3;
}

function toWords(bytes: Uint8Array): bigint[] {
  const padded = new Uint8Array(Math.ceil(bytes.length / 8) * 8);
  padded.set(bytes);
  return Array.from(new BigUint64Array(padded.buffer));
}

describe("KeyedHash", () => {
  test("the reference that it is compared with gives the published value of SipHash-2-4", () => {
    // Aumasson and Bernstein, appendix A: bytes 00 to 0e, length in the top byte of the last word.
    const words = toWords(Uint8Array.of(...Array.from({ length: 15 }, (_, index) => index), 15));
    assert.equal(sipHash(words, { compression: 2, finalization: 4 }), 0xa129ca6149be45e5n);
  });

  test("update() is SipHash-1-3 over the key and a last word of length and form", () => {
    const hash = new KeyedHash(SECRET);
    const read = (): bigint => (BigInt(hash.h1 >>> 0) << 32n) | BigInt(hash.h0 >>> 0);
    const expected = (bytes: Uint8Array, length: number, form: bigint): bigint =>
      sipHash([...toWords(bytes), BigInt(length) | (form << 32n)], {
        compression: 1,
        finalization: 3,
      });
    fc.assert(
      fc.property(fc.string({ unit: "binary-ascii", maxLength: 40 }), (key) => {
        hash.update(key);
        assert.equal(read(), expected(new TextEncoder().encode(key), key.length, 2n));
      }),
      { numRuns: 40 },
    );
    fc.assert(
      fc.property(fc.array(fc.nat(0xffff), { maxLength: 40 }), fc.nat(40), (codes, place) => {
        // Any code units, lone surrogates too, at least one of them beyond ASCII.
        const key = String.fromCharCode(...codes.slice(0, place), 0x20ac, ...codes.slice(place));
        hash.update(key);
        const units = Uint16Array.from({ length: key.length }, (_, at) => key.charCodeAt(at));
        assert.equal(read(), expected(new Uint8Array(units.buffer), key.length, 3n));
      }),
      { numRuns: 40 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (key) => {
        const words = new Uint8Array((Math.floor(key.length / 8) + 1) * 8);
        words.set(key);
        hash.update(key);
        assert.equal(read(), expected(words, key.length, 1n));
      }),
      { numRuns: 40 },
    );
  });

  test("update() depends on every bit of the secret", () => {
    const seen = new Set<string>();
    for (let bit = 0; bit < 128; bit++) {
      const secret = Uint8Array.from(SECRET);
      secret[bit >> 3]! ^= 1 << (bit & 7);
      const hash = new KeyedHash(secret);
      hash.update("ada");
      seen.add(`${hash.h0}:${hash.h1}`);
    }
    assert.equal(seen.size, 128);
  });
});
