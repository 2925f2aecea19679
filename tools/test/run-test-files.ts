import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { endRunningTestFiles, runTestFile, type FileResult } from "./run-test-file.ts";
import type { Tally } from "./tally.ts";

/** Runs test files, as many at once as the machine has cores, and prints each as it ends; then the slowest ten. */
export async function runTestFiles(
  files: readonly string[],
  options: { readonly fileDeadlineMs: number },
): Promise<Tally> {
  const startedAt = performance.now();
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  const results: FileResult[] = [];
  const runAll = async (waiting: string[]): Promise<void> => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const result = await runTestFile(file, { deadlineMs: options.fileDeadlineMs });
      results.push(result);
      printResult(result);
    }
  };
  const alone = files.filter(runsAlone);
  const together = files.filter((file) => !alone.includes(file));
  await Promise.all(
    Array.from({ length: Math.max(2, availableParallelism()) }, () => runAll(together)),
  );
  await runAll(alone);
  printSlowest(results, performance.now() - startedAt);
  return {
    passed: countOf(results, "passed"),
    skipped: countOf(results, "skipped"),
    failed: countOf(results, "failed") + results.filter((one) => one.problem !== undefined).length,
  };
}

/** A file that measures says so at its top: `// Runs alone: …`. It comes last, with the machine to itself. */
function runsAlone(file: string): boolean {
  return /^\/\/ Runs alone: \S/m.test(readFileSync(file, "utf8").slice(0, 2_000));
}

function countOf(results: readonly FileResult[], kind: "passed" | "skipped" | "failed"): number {
  return results.flatMap((one) => one.reports).filter((report) => report.kind === kind).length;
}

function printResult(result: FileResult): void {
  const passed = countOf([result], "passed");
  const hasFailed = result.problem !== undefined || countOf([result], "failed") > 0;
  const seconds = (result.durationMs / 1_000).toFixed(1);
  console.log(`${hasFailed ? "FAILED" : "ok    "} ${result.file} (${passed} passed, ${seconds} s)`);
  for (const report of result.reports) {
    if (report.kind === "skipped") console.log(`       skipped: ${report.name}: ${report.reason}`);
    if (report.kind === "failed") {
      console.log(`  FAILED: ${report.name}\n${indented(report.error)}`);
    }
  }
  if (result.problem !== undefined) console.log(`  FAILED: the file ${result.problem}`);
  if (hasFailed && result.output.trim() !== "") {
    console.log(`  It printed:\n${indented(result.output.slice(-8_000))}`);
  }
}

function printSlowest(results: readonly FileResult[], totalMs: number): void {
  const slowest = results.toSorted((a, b) => b.durationMs - a.durationMs).slice(0, 10);
  console.log(`\n${results.length} test files in ${(totalMs / 1_000).toFixed(1)} s; the slowest:`);
  for (const one of slowest) {
    console.log(`${(one.durationMs / 1_000).toFixed(1).padStart(7)} s  ${one.file}`);
  }
}

function indented(text: string): string {
  return text.trimEnd().replaceAll(/^/gm, "    ");
}

function stop(): void {
  endRunningTestFiles();
  // Interrupted: there is no result to count, and no test may start any more.
  process.exit(130);
}
