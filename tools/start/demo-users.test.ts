import assert from "node:assert/strict";
import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { systemRandom } from "@tidegate/clock";
import { tempFolder } from "@tidegate/testkit";
import { provideDemoUsers } from "./demo-users.ts";

const options = { random: systemRandom };

test("provideDemoUsers() makes private files once and keeps what it made", async () => {
  await using folder = await tempFolder();
  const first = await provideDemoUsers(folder.path, options);
  assert.match(first.users.ada, /^[a-z2-9]{20}$/);
  assert.notEqual(first.users.ada, first.users.grace);
  assert.deepEqual(JSON.parse(readFileSync(folder.file("demo-users.json"), "utf8")), first.users);
  const hashes = readFileSync(first.usersFile, "utf8");
  assert.equal(hashes.includes(first.users.ada), false);
  for (const file of ["demo-users.json", "users.json"]) {
    assert.equal(statSync(folder.file(file)).mode & 0o777, 0o600);
  }
  assert.equal(first.areNew, true);
  const kept = { ...first, areNew: false };
  assert.deepEqual(await provideDemoUsers(folder.path, options), kept);
  assert.equal(readFileSync(first.usersFile, "utf8"), hashes);
});

test("provideDemoUsers() makes lost hashes again for the same passwords", async () => {
  await using folder = await tempFolder();
  const first = await provideDemoUsers(folder.path, options);
  rmSync(first.usersFile);
  const kept = { ...first, areNew: false };
  assert.deepEqual(await provideDemoUsers(folder.path, options), kept);
  assert.ok(readFileSync(first.usersFile, "utf8").includes("ada"));
});

test("provideDemoUsers() refuses a file that is not its own", async () => {
  await using folder = await tempFolder();
  for (const content of ["{", "[]", '{"ada":"x"}', '{"ada":"x","grace":7}']) {
    writeFileSync(folder.file("demo-users.json"), content);
    await assert.rejects(provideDemoUsers(folder.path, options), /demo-users\.json.*Remove it/);
  }
});
