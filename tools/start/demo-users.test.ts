import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { systemRandom } from "@tidegate/clock";
import { tempFolder } from "@tidegate/testkit";
import { provideDemoUsers } from "./demo-users.ts";

const options = { random: systemRandom };

test("provideDemoUsers() makes a private file once and keeps what it made", async () => {
  await using folder = await tempFolder();
  const first = provideDemoUsers(folder.path, options);
  assert.match(first.users.ada, /^[a-z2-9]{20}$/);
  assert.notEqual(first.users.ada, first.users.grace);
  assert.deepEqual(JSON.parse(readFileSync(folder.file("demo-users.json"), "utf8")), first.users);
  assert.equal(statSync(folder.file("demo-users.json")).mode & 0o777, 0o600);
  assert.equal(first.areNew, true);
  assert.deepEqual(provideDemoUsers(folder.path, options), { ...first, areNew: false });
});

test("provideDemoUsers() refuses a file that is not its own", async () => {
  await using folder = await tempFolder();
  for (const content of ["{", "[]", '{"ada":"x"}', '{"ada":"x","grace":7}']) {
    writeFileSync(folder.file("demo-users.json"), content);
    assert.throws(() => provideDemoUsers(folder.path, options), /demo-users\.json.*Remove it/);
  }
});
