import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { promisify } from "node:util";

const run = promisify(execFile);

/**
 * Test files of the checkout, as paths from its root, sorted.
 * @param options.filters keeps files whose path contains one of them; none keeps all
 * @throws {Error} when nothing is found: a run that tests nothing must not look like a run that passed
 */
export async function findTestFiles(options: {
  readonly withLong: boolean;
  readonly filters: readonly string[];
}): Promise<string[]> {
  const files = (await repositoryFiles()).filter((path) => path.endsWith(".test.ts"));
  const wanted = files
    .filter((path) => options.withLong || !path.endsWith(".long.test.ts"))
    .filter((path) => matches(path, options.filters));
  if (wanted.length === 0) {
    throw new Error(`Cannot test: no test file matches ${options.filters.join(" ") || "at all"}`);
  }
  return wanted;
}

/** Every file that is in the repository or would be after `git add`; in a checkout without git, every file. */
export async function repositoryFiles(): Promise<string[]> {
  const { stdout } = existsSync(".git")
    ? await run("git", ["ls-files", "--cached", "--others", "--exclude-standard", "-z"], BIG)
    : await run(
        "find",
        [".", "-name", "node_modules", "-prune", "-o", "-type", "f", "-printf", "%P\\0"],
        BIG,
      );
  const paths = stdout.split("\0").filter((path) => path !== "" && existsSync(path));
  return [...new Set(paths)].toSorted();
}

const BIG = { maxBuffer: 64 * 1024 * 1024 };

function matches(path: string, filters: readonly string[]): boolean {
  return (
    filters.length === 0 || filters.some((filter) => path.includes(filter.replace(/^\.\//, "")))
  );
}
