import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { hashPassword, parsePasswordHash, verifyPassword } from "./password-hash.ts";
import { countingKey, random } from "../test/password-fixture.ts";

describe("password hash", () => {
  test("parsePasswordHash() refuses other algorithms, weak and ruinous costs, and damaged hashes", async () => {
    const good = await hashPassword("secret", { random, deriveKey: countingKey().deriveKey });
    assert.ok(parsePasswordHash(good));
    const hostile = [
      "",
      "secret",
      good.replace("$scrypt", "$argon2id"),
      good.replace("ln=15", "ln=10"),
      good.replace("ln=15", "ln=20"),
      good.replace("ln=15", "ln=015"),
      good.replace("p=3", "p=0"),
      good.replace("p=3", "p=99"),
      good.replace("r=8", "r=0"),
      good.slice(0, -1),
      `${good}=`,
      `${good}\n`,
      good.replace(/\$[^$]+$/, ""),
      good.replace(/\$[^$]+\$([^$]+)$/, "$$AAAA$$$1"),
    ];
    for (const text of hostile) assert.equal(parsePasswordHash(text), undefined, text);
  });

  test("hashPassword() makes a hash that verifyPassword() fits to that password alone, by scrypt itself", async () => {
    const text = await hashPassword("correct horse", { random });
    assert.match(text, /^\$scrypt\$ln=15,r=8,p=3\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
    const parsed = parsePasswordHash(text);
    assert.ok(parsed);
    assert.equal(await verifyPassword("correct horse", parsed), true);
    assert.equal(await verifyPassword("correct horse ", parsed), false);
    // A second hash of the same password has its own salt.
    const other = { random, deriveKey: countingKey().deriveKey };
    assert.notEqual(await hashPassword("a", other), await hashPassword("a", other));
  });

  test("verifyPassword() agrees with RFC 7914 §12", async () => {
    // N = 16384, r = 8, p = 1 of the RFC is below our minimum cost, so the vector is checked through the derivation.
    const { scryptSync } = await import("node:crypto");
    const key = scryptSync("pleaseletmein", "SodiumChloride", 64, { N: 16_384, r: 8, p: 1 });
    const settings = {
      logN: 14,
      blockSize: 8,
      parallelism: 1,
      salt: Buffer.from("SodiumChloride"),
    };
    assert.equal(key.toString("hex").slice(0, 16), "7023bdcb3afd7348");
    assert.equal(
      await verifyPassword("pleaseletmein", { ...settings, key: key.subarray(0, 32) }),
      true,
    );
  });
});
