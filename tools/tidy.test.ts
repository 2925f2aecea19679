// House rules that no linter knows, on every file of the repository.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { contentFindings } from "./tidy/contents.ts";
import { deadFileFindings } from "./tidy/dead-files.ts";
import { layerFindings } from "./tidy/layers.ts";
import { lockfileFindings, manifestFindings } from "./tidy/lockfile.ts";
import { nameFindings } from "./tidy/names.ts";
import { sizeFindings } from "./tidy/sizes.ts";
import { readSourceFiles, type Finding } from "./tidy/source-file.ts";

const files = await readSourceFiles();

function none(findings: readonly Finding[]): void {
  if (findings.length > 0) assert.fail(`${findings.length} found:\n${findings.join("\n")}`);
}

test("tidy sees the files it judges", () => {
  assert.ok(files.length > 150, `only ${files.length} files`);
  for (const path of ["tools/bootstrap.js", "packages/clock/src/index.ts", "package.json"]) {
    assert.ok(
      files.some((file) => file.path === path),
      `${path} is not among them`,
    );
  }
  for (const folder of ["apps/gateway/src/", "apps/tasks/src/", "packages/wire/src/"]) {
    assert.ok(
      files.some((file) => file.path.startsWith(folder)),
      `nothing in ${folder}`,
    );
  }
});

test("imports point one way, through the doors", () => {
  none(layerFindings(files));
});

test("names say the idea in kebab-case", () => {
  none(nameFindings(files));
});

test("files have one idea", () => {
  none(sizeFindings(files));
});

test("files name nothing of one machine, read no time or environment of their own, and documents have one title", () => {
  none(contentFindings(files));
});

test("no file is dead", () => {
  none(deadFileFindings(files));
});

test("the lockfile installs everywhere and manifests have exact versions", () => {
  none(lockfileFindings(readFileSync("package-lock.json", "utf8")));
  const manifests = files.filter((file) => /(?:^|\/)package\.json$/.test(file.path));
  assert.ok(manifests.length >= 8);
  none(manifests.flatMap(manifestFindings));
});

test("the compiler refuses what the runtime cannot strip", () => {
  const { compilerOptions } = JSON.parse(readFileSync("tsconfig.json", "utf8"));
  for (const option of [
    "strict",
    "erasableSyntaxOnly",
    "verbatimModuleSyntax",
    "noUncheckedIndexedAccess",
  ]) {
    assert.equal(compilerOptions[option], true, option);
  }
});
