import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { systemRandom } from "@tidegate/clock";
import { hashApiKey, isApiKey, makeApiKey, makeApiKeyId, parseApiKey } from "./api-key.ts";

test("parseApiKey() refuses every other spelling, and a key with one character changed, by its checksum", () => {
  const id = makeApiKeyId(systemRandom);
  const key = makeApiKey(id, systemRandom);
  for (const text of ["", "tgk_", ` ${key}`, `${key} `, key.toUpperCase(), `${key}x`, key.slice(1)])
    assert.equal(parseApiKey(text), undefined, text);
  fc.assert(
    fc.property(
      fc.nat({ max: key.length - 1 }),
      fc.constantFrom("a", "Z", "0", "9", "_", "-"),
      (at, character) => {
        fc.pre(key[at] !== character);
        const changed = key.slice(0, at) + character + key.slice(at + 1);
        assert.equal(parseApiKey(changed), undefined, changed);
      },
    ),
  );
  // Two neighbours swapped: how people mistype.
  for (let at = 4; at < key.length - 1; at++) {
    const swapped = `${key.slice(0, at)}${key[at + 1]}${key[at]}${key.slice(at + 2)}`;
    if (swapped !== key) assert.equal(parseApiKey(swapped), undefined, swapped);
  }
});

test("makeApiKey() makes keys that parse, differ, and fit their own hash alone", () => {
  const ids = new Set<string>();
  const keys = new Set<string>();
  for (let count = 0; count < 200; count++) {
    const id = makeApiKeyId(systemRandom);
    const key = makeApiKey(id, systemRandom);
    assert.match(key, /^tgk_[a-z0-9]{14}_[A-Za-z0-9]{38}$/);
    assert.deepEqual(parseApiKey(key), { id, text: key });
    assert.ok(isApiKey(key, hashApiKey(key)));
    assert.ok(!isApiKey(makeApiKey(id, systemRandom), hashApiKey(key)));
    ids.add(id);
    keys.add(key);
  }
  assert.equal(ids.size, 200);
  assert.equal(keys.size, 200);
});
