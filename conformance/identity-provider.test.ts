import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const root = join(import.meta.dirname, "..");

test("every test that docs/identity.md names exists, and every row names one", () => {
  const text = readFileSync(join(root, "docs/identity.md"), "utf8");
  const section = text.split("## Where it is not what the library does")[1]?.split("\n## ")[0];
  const rows = (section ?? "")
    .split("\n")
    .filter((line) => line.startsWith("|"))
    .slice(2)
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  assert.ok(rows.length >= 25);
  for (const [what, , file = "", name = ""] of rows) {
    const source = readFileSync(join(root, file), "utf8");
    assert.ok(name !== "" && source.includes(`test("${name}"`), `${what}: ${name} in ${file}`);
  }
});
