// What the tables say is tested, is: every file and every test that they name exists.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const root = join(import.meta.dirname, "..");

/** The cells of each table row of a document, without heads and rules. */
function rowsOf(path: string): string[][] {
  return readFileSync(join(root, path), "utf8")
    .split("\n")
    .filter((line, at, lines) => line.startsWith("|") && !/^\| *-/.test(lines[at + 1] ?? ""))
    .filter((line) => !/^\| *-/.test(line))
    .map((line) =>
      line
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim().replaceAll("\\|", "|")),
    );
}

/** A test of this name is in that file: by `test(` and the whole name, not by a likeness in a comment. */
function assertCited(file: string, name: string): void {
  assert.ok(existsSync(join(root, file)), `no file ${file}`);
  assert.match(file, /\.test\.ts$/);
  const text = readFileSync(join(root, file), "utf8");
  const isThere = ['"', "`", "'"].some((quote) =>
    new RegExp(`\\btest\\(\\s*${RegExp.escape(quote + name + quote)}`).test(text),
  );
  assert.ok(name !== "" && isThere, `no test "${name}" in ${file}`);
}

test("assertCited() misses a test that is not there, half a name, and a file that is none", () => {
  const file = "conformance/cited-tests.test.ts";
  assert.throws(() => assertCited(file, "nothing of the kind"));
  assert.throws(() => assertCited(file, "assertCited() misses a test that is not there"));
  assert.throws(() => assertCited("conformance/nothing.test.ts", "x"));
  assert.throws(() => assertCited(file, ""));
});

test("every file and test that docs/threat-model.md names exists", () => {
  const rows = rowsOf("docs/threat-model.md");
  assert.ok(rows.length >= 70, String(rows.length));
  for (const [attack = "", against, where = "", cited = "", ...more] of rows) {
    assert.ok(attack !== "" && against !== "" && more.length === 0, attack);
    const files = [...where.matchAll(/`([^`]+)`/g)].map(([, file = ""]) => file);
    assert.ok(files.length > 0, attack);
    for (const file of files) assert.ok(existsSync(join(root, file)), `${attack}: no ${file}`);
    const [, file = "", name = ""] = /^`([^`]+)`: (.+)$/.exec(cited) ?? [];
    assertCited(file, name);
  }
});

test("every test that conformance/identity.md names exists", () => {
  const rows = rowsOf("conformance/identity.md");
  assert.ok(rows.length >= 50, String(rows.length));
  for (const [item, what, file = "", name = "", ...more] of rows) {
    assert.ok(item !== "" && what !== "" && more.length === 0, file);
    assertCited(file, name);
  }
});
