import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { manualClock } from "@tidegate/clock";
import { tempFolder } from "@tidegate/testkit";
import * as fc from "fast-check";
import {
  planKeys,
  PUBLISH_AHEAD_SECONDS,
  RETIRE_AFTER_SECONDS,
  ROTATE_AFTER_SECONDS,
  SigningKeys,
  type SigningKey,
} from "./signing-keys.ts";

const key = (createdAtSeconds: number): SigningKey => ({
  jwk: { kty: "EC", kid: `made-at-${createdAtSeconds}` },
  createdAtSeconds,
});
const madeAt = (keys: readonly SigningKey[]): number[] => keys.map((one) => one.createdAtSeconds);

test("planKeys() signs with the newest key that was published for a day, and retires what has not signed for a month", () => {
  assert.deepEqual(planKeys([], 0), { keys: [], needsNew: true });
  const first = key(0);
  assert.deepEqual(madeAt(planKeys([first], 10).keys), [0], "the first key has nobody to wait for");
  const second = key(ROTATE_AFTER_SECONDS);
  const takesOver = ROTATE_AFTER_SECONDS + PUBLISH_AHEAD_SECONDS;
  const both = [first, second];
  assert.equal(planKeys([first], ROTATE_AFTER_SECONDS - 1).needsNew, false);
  assert.equal(planKeys([first], ROTATE_AFTER_SECONDS).needsNew, true);
  assert.deepEqual(madeAt(planKeys(both, takesOver - 1).keys), [0, ROTATE_AFTER_SECONDS]);
  assert.deepEqual(madeAt(planKeys(both, takesOver).keys), [ROTATE_AFTER_SECONDS, 0]);
  const retires = takesOver + RETIRE_AFTER_SECONDS;
  assert.deepEqual(madeAt(planKeys(both, retires - 1).keys), [ROTATE_AFTER_SECONDS, 0]);
  assert.deepEqual(madeAt(planKeys(both, retires).keys), [ROTATE_AFTER_SECONDS]);
});

test("planKeys() always has a key that signs, never a younger one than was published for a day unless it is alone", () => {
  const times = fc.uniqueArray(fc.integer({ min: 0, max: 400 * 86_400 }), {
    minLength: 1,
    maxLength: 6,
  });
  fc.assert(
    fc.property(times, fc.integer({ min: 0, max: 500 * 86_400 }), (made, afterSeconds) => {
      const nowSeconds = Math.max(...made) + afterSeconds;
      const { keys } = planKeys(made.map(key), nowSeconds);
      const [signing] = keys;
      assert.ok(signing);
      const ready = made.filter((at) => nowSeconds - at >= PUBLISH_AHEAD_SECONDS);
      assert.equal(
        signing.createdAtSeconds,
        ready.length > 0 ? Math.max(...ready) : Math.min(...made),
      );
      assert.equal(new Set(madeAt(keys)).size, keys.length);
    }),
  );
});

test("SigningKeys makes its file once, private, reads it again, and replaces no file that is not its own", async () => {
  await using folder = await tempFolder();
  const file = folder.file("signing-keys.json");
  const clock = manualClock(0);
  const made = await SigningKeys.open({ file, clock });
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.deepEqual((await SigningKeys.open({ file, clock })).jwks, made.jwks);
  assert.equal(await made.refresh(), false);
  for (const content of ["{", "{}", '{"keys":[{}]}', "[]"]) {
    writeFileSync(file, content);
    await assert.rejects(SigningKeys.open({ file, clock }), /signing-keys\.json/);
    assert.equal(readFileSync(file, "utf8"), content);
  }
});

test("rotate() twice within one second, or with the clock set back, keeps the order in which keys were made", async () => {
  await using folder = await tempFolder();
  const clock = manualClock(1_800_000_000_000);
  const file = folder.file("signing-keys.json");
  const keys = await SigningKeys.open({ file, clock });
  const kids = (of: SigningKeys): string[] => of.jwks.keys.map(({ kid }) => kid);
  const [first] = kids(keys);
  await keys.rotate("in-order");
  clock.stepWall(-5_000);
  await keys.rotate("in-order");
  const all = kids(keys);
  assert.equal(new Set(all).size, 3);
  assert.equal(all[0], first);
  assert.deepEqual(kids(keys), all);
  assert.deepEqual(kids(await SigningKeys.open({ file, clock })), all);
});
