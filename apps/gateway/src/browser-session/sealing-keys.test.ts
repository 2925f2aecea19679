import assert from "node:assert/strict";
import { statSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { manualClock, systemRandom } from "@tidegate/clock";
import { tempFolder } from "@tidegate/testkit";
import { loadSealingKeys } from "./sealing-keys.ts";

const DAY_MS = 86_400_000;

test("open() gives nothing when a single bit was changed, or the context is another", async () => {
  await using folder = await tempFolder();
  const place = { folder: folder.path, clock: manualClock(0), random: systemRandom };
  const keys = loadSealingKeys(place);
  const sealed = keys.seal("a secret", "here");
  assert.equal(keys.open(sealed, "here"), "a secret");
  assert.equal(keys.open(sealed, "there"), undefined);
  for (let at = 0; at < sealed.length; at++) {
    const changed = Buffer.from(sealed);
    changed[at] = (changed[at] ?? 0) ^ 1;
    assert.equal(keys.open(changed, "here"), undefined, `byte ${at}`);
    assert.equal(keys.open(sealed.subarray(0, at), "here"), undefined, `cut at ${at}`);
  }
  assert.equal(sealed.includes("a secret"), false);
  assert.notDeepEqual(keys.seal("a secret", "here"), sealed);
});

test("loadSealingKeys() keeps its keys over restarts, in a file of its owner's alone, and never replaces a broken one", async () => {
  await using folder = await tempFolder();
  const place = { folder: folder.path, clock: manualClock(0), random: systemRandom };
  const sealed = loadSealingKeys(place).seal("a secret", "");
  assert.equal(loadSealingKeys(place).open(sealed, ""), "a secret");
  const file = folder.file("session-keys.json");
  assert.equal(statSync(file).mode & 0o777, 0o600);
  writeFileSync(file, '{"keys":[{"id":"AAAA","key":"c2VjcmV0"}]}');
  assert.throws(() => loadSealingKeys(place), /not a key file/);
});

test("loadSealingKeys() seals with a new key after 30 days, and opens with the old one as long as a session can live", async () => {
  await using folder = await tempFolder();
  const clock = manualClock(0);
  const place = { folder: folder.path, clock, random: systemRandom };
  const first = loadSealingKeys(place).seal("a secret", "");
  clock.advance(31 * DAY_MS);
  const later = loadSealingKeys(place);
  const second = later.seal("a secret", "");
  assert.notDeepEqual(second.subarray(0, 4), first.subarray(0, 4));
  assert.equal(later.open(first, ""), "a secret");
  clock.advance(60 * DAY_MS);
  const last = loadSealingKeys(place);
  assert.equal(last.open(first, ""), undefined);
  assert.equal(last.open(second, ""), "a secret");
});
