import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

test("docs/identity.md lists every event of the audit trail, and no other", () => {
  const read = (path: string): string => readFileSync(new URL(path, import.meta.url), "utf8");
  const names = (text: string, pattern: RegExp): string[] =>
    [...text.matchAll(pattern)].map(([, name = ""]) => name).sort();
  const written = names(read("events.ts"), /(?:info|warn)\("([\w.]+)"\)|event: "([\w.]+)"/g).filter(
    Boolean,
  );
  written.push("identity.failed");
  const section = /## What it writes down([^]*?)\n## /.exec(read("../../../docs/identity.md"))?.[1];
  assert.ok(written.length > 10);
  assert.deepEqual(names(section ?? "", /`(\w+\.\w+)`/g), written.sort());
});
