// docs/storage.md names every table that the code makes, and no other.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { repositoryFiles } from "./test/find-test-files.ts";

test("docs/storage.md lists every table of every database, and nothing that is not there", async () => {
  const sources = (await repositoryFiles()).filter(
    (path) => /^(apps|packages)\/[^/]+\/src\//.test(path) && /(?<!\.test)\.ts$/.test(path),
  );
  const made = new Set<string>();
  for (const path of sources)
    for (const [, name = ""] of readFileSync(path, "utf8").matchAll(
      /\bcreate (?:virtual )?table (?:if not exists )?(\w+)/g,
    ))
      made.add(name);
  const text = readFileSync("docs/storage.md", "utf8");
  const rows = text.split("\n").filter((line) => /^\| `[a-z_]+` +\|/.test(line));
  const listed = new Set(rows.map((line) => /`(\w+)`/.exec(line)?.[1] ?? ""));
  assert.ok(made.size >= 15, "tables were found");
  assert.deepEqual([...listed].sort(), [...made].sort());
});
