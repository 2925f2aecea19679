import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";

const folder = join(import.meta.dirname, "..");
const readme = await readFile(join(folder, "README.md"), "utf8");
const examples = Array.from(readme.matchAll(/```ts\n(.*?)```/gs), ([, code = ""]) => code);

describe("README of @tidegate/limits", () => {
  test("has the examples that are run here", () => assert.equal(examples.length, 10));

  for (const [index, code] of examples.entries()) {
    test(`example ${index + 1} runs and prints what it says`, async () => {
      const promised = Array.from(code.matchAll(/\/\/ prints: (.*)$/gm), ([, text]) => text);
      const { stdout } = await promisify(execFile)(
        process.execPath,
        ["--input-type=module-typescript", "--eval", code],
        { cwd: folder, timeout: 30_000 },
      );
      assert.deepEqual(stdout.split("\n").slice(0, -1), promised);
    });
  }
});
