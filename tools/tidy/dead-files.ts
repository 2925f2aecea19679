import { posix } from "node:path";
import { importsOf } from "./layers.ts";
import { isCode, type Finding, type SourceFile } from "./source-file.ts";

// Reached without an import: processes, doors, tests, configurations, declarations, peers that a bench starts by name.
const ENTRY =
  /(?:^|\/)(?:main|index)\.ts$|\.test\.ts$|\.config\.ts$|\.d\.ts$|(?:^|\/)(?:bin|peers|scripts)\/|^tools\/(?:check|bootstrap)\.[tj]s$/;

/** Every code file is imported by another, is where a process begins, or is named in another file that runs it. */
export function deadFileFindings(files: readonly SourceFile[]): Finding[] {
  const imported = new Set(
    files
      .filter(isCode)
      .flatMap((file) =>
        importsOf(file).map((specifier) =>
          posix.normalize(posix.join(posix.dirname(file.path), specifier)),
        ),
      ),
  );
  return files
    .filter((file) => isCode(file) && !ENTRY.test(file.path) && !imported.has(file.path))
    .filter((file) => !isNamed(file, files))
    .map((file) => `${file.path}: nothing imports it, starts it or names it`);
}

function isNamed(file: SourceFile, files: readonly SourceFile[]): boolean {
  const name = posix.basename(file.path);
  return files.some(
    (other) =>
      other.path !== file.path && /\.(?:ts|js|json)$/.test(other.path) && other.text.includes(name),
  );
}
