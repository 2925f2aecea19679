import assert from "node:assert/strict";
import { mkdtempDisposable, readdir, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ConfigError, formatMistake } from "../src/config/config-error.ts";
import { loadConfig } from "../src/config/load-config.ts";

// Each file of golden/config is an input, a line, and what loading it comes to. `UPDATE_GOLDEN=1` writes the second half
// anew; what then changed is read in the diff.

const folder = new URL("../golden/config/", import.meta.url);
const LINE = "==== expected ====\n";
const environment = { NAME: "shop.example", TASKS_PORT: "4101", RECORD: "false" };
const files = await readdir(folder);

test("there are golden configurations", () => {
  assert.ok(files.length >= 4);
});

for (const file of files) {
  await test(`loading ${file} comes to what it expects`, async () => {
    const path = new URL(file, folder);
    const [input = "", expected = ""] = (await readFile(path, "utf8")).split(LINE);
    const outcome = await load(`tidegate.config.${file.split(".").at(-2)}`, input);
    if (process.env["UPDATE_GOLDEN"] === "1") await writeFile(path, `${input}${LINE}${outcome}`);
    else assert.equal(outcome, expected);
  });
}

async function load(name: string, input: string): Promise<string> {
  await using temporary = await mkdtempDisposable(join(tmpdir(), "tidegate-golden-"));
  const file = join(temporary.path, name);
  await writeFile(file, input);
  const hideFolder = (text: string): string => text.replaceAll(temporary.path, "/folder");
  try {
    const { config, warnings } = await loadConfig(file, { environment });
    const doubts = warnings.map((warning) => `${formatMistake(warning)}\n\n`).join("");
    return hideFolder(`${doubts}${JSON.stringify(config, null, 2)}\n`);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return hideFolder(`${error.message}\n`);
  }
}
