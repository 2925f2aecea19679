import assert from "node:assert/strict";
import { chmod, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { systemRandom } from "@tidegate/clock";
import { tempFolder } from "@tidegate/testkit";
import { loadAdminToken } from "./admin-token.ts";

test("loadAdminToken() refuses a file that others may read, and one that holds no token", async () => {
  await using folder = await tempFolder();
  const file = folder.file("admin-token");
  await writeFile(file, "short\n", { mode: 0o600 });
  await assert.rejects(loadAdminToken(folder.path, systemRandom), /must hold one token/);
  await writeFile(file, "");
  await assert.rejects(loadAdminToken(folder.path, systemRandom), /must hold one token/);
  await writeFile(file, "x".repeat(100_000));
  await assert.rejects(loadAdminToken(folder.path, systemRandom), /must hold one token/);
  await writeFile(file, "x".repeat(43));
  await chmod(file, 0o640);
  await assert.rejects(loadAdminToken(folder.path, systemRandom), /its mode is 640/);
});

test("loadAdminToken() does not write through a link that somebody laid", async () => {
  await using folder = await tempFolder();
  await symlink(folder.file("elsewhere"), folder.file("admin-token"));
  await assert.rejects(loadAdminToken(folder.path, systemRandom));
  await assert.rejects(stat(folder.file("elsewhere")), /ENOENT/);
});

test("loadAdminToken() makes a token once, for its owner alone, also when two start at once", async () => {
  await using folder = await tempFolder();
  const [first] = await Promise.all([
    loadAdminToken(folder.path, systemRandom),
    loadAdminToken(folder.path, systemRandom).catch(() => undefined),
  ]);
  assert.equal((await stat(first.file)).mode & 0o777, 0o600);
  const text = (await readFile(first.file, "utf8")).trim();
  assert.match(text, /^[A-Za-z0-9_-]{43}$/);
  const again = await loadAdminToken(folder.path, systemRandom);
  assert.equal(again.matches(text), true);
  assert.equal(first.matches(text), true);
});

test("matches() refuses a wrong token of whatever length", async () => {
  await using folder = await tempFolder();
  const token = await loadAdminToken(folder.path, systemRandom);
  const text = (await readFile(token.file, "utf8")).trim();
  for (const offered of ["", "x", text.slice(1), `${text}x`, text.toLowerCase(), "y".repeat(43)]) {
    assert.equal(token.matches(offered), false);
  }
});
