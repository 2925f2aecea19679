import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const root = join(import.meta.dirname, "..");

test("every test that credentials.md names exists, and every row names one", () => {
  const rows = readFileSync(join(import.meta.dirname, "credentials.md"), "utf8")
    .split("\n")
    .filter((line) => line.startsWith("|"))
    .slice(2)
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  assert.ok(rows.length >= 30);
  for (const [what, , file = "", name = ""] of rows) {
    const text = readFileSync(join(root, file), "utf8");
    assert.ok(name !== "" && text.includes(`test("${name}"`), `${what}: ${name} in ${file}`);
  }
});
