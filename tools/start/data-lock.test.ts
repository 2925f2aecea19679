import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { startProcess, tempFolder } from "@tidegate/testkit";
import { lockDataFolder } from "./data-lock.ts";

test("lockDataFolder() refuses a second holder and names the first", async () => {
  await using folder = await tempFolder();
  using lock = lockDataFolder(folder.path);
  assert.equal(lock.isTakenOver, false);
  assert.throws(
    () => lockDataFolder(folder.path),
    new RegExp(`process ${process.pid} already runs`),
  );
});

test("lockDataFolder() leaves nothing behind", async () => {
  await using folder = await tempFolder();
  lockDataFolder(folder.path)[Symbol.dispose]();
  assert.deepEqual(readdirSync(folder.path), []);
});

test("lockDataFolder() takes over from a process that was killed", async () => {
  await using folder = await tempFolder();
  const lock = new URL("data-lock.ts", import.meta.url).pathname;
  await using holder = await startProcess({
    args: [
      "--input-type=module",
      "-e",
      `import { lockDataFolder } from ${JSON.stringify(lock)};
       lockDataFolder(${JSON.stringify(folder.path)}); console.log("held"); setInterval(() => {}, 1e6);`,
    ],
    readyWhen: "held",
  });
  assert.throws(() => lockDataFolder(folder.path), new RegExp(`process ${holder.pid} already`));
  await holder.stop({ signal: "SIGKILL" });
  using taken = lockDataFolder(folder.path);
  assert.equal(taken.isTakenOver, true);
});

test("lockDataFolder() is not fooled by a reused process id, nor stopped by a broken file", async () => {
  await using folder = await tempFolder();
  const file = folder.file("launcher.lock");
  for (const stale of [JSON.stringify({ pid: process.pid, startedAt: "1 other-boot" }), "{", ""]) {
    writeFileSync(file, stale);
    using taken = lockDataFolder(folder.path);
    assert.equal(taken.isTakenOver, true);
    assert.equal(JSON.parse(readFileSync(file, "utf8")).pid, process.pid);
  }
  assert.equal(existsSync(file), false);
});
