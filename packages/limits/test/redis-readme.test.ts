import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { startProcess, startRedis } from "@tidegate/testkit";

test("the example of @tidegate/limits/redis runs and prints what it says", async () => {
  const folder = join(import.meta.dirname, "..");
  const readme = await readFile(join(folder, "src/redis/README.md"), "utf8");
  const [, code = ""] = /```ts\n(.*?)```/s.exec(readme) ?? [];
  const [, promised = ""] = /\/\/ prints: (.*)$/m.exec(code) ?? [];
  await using redis = await startRedis();
  const args = [
    "--input-type=module-typescript",
    "--eval",
    code.replace("redis://localhost:6379", redis.url),
  ];
  await using example = await startProcess({ args, cwd: folder });
  assert.equal((await example.exited()).code, 0, example.output());
  assert.equal(example.stdout().trim().split("\n").join(", "), promised);
});
