import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Report } from "./reporter.ts";

export interface FileResult {
  readonly file: string;
  readonly reports: readonly Report[];
  /** Why the file failed beyond its tests: a crash, a hang, something left open. */
  readonly problem: string | undefined;
  /** What the file printed; the last 100,000 characters. */
  readonly output: string;
  readonly durationMs: number;
}

const REPORTER = fileURLToPath(new URL("reporter.ts", import.meta.url));

// A process with nothing open ends within milliseconds after its last test; on a busy machine, a second.
const LEFT_OPEN_AFTER_MS = 5_000;
const KEPT_OUTPUT_CHARACTERS = 100_000;

/** Leaders of the process groups that run now. At most as many as the runner has workers. */
const running = new Set<number>();

/** Ends every test file that runs, for a runner that is told to stop: groups of their own do not hear its Ctrl-C. */
export function endRunningTestFiles(): void {
  for (const id of running) endProcessGroup(id);
}

/**
 * Runs one test file in a process of its own, which leads a process group: at the deadline all that it started ends too.
 * A file that is through and does not end has left a server, socket or timer open, and fails for it.
 */
export function runTestFile(
  file: string,
  options: { readonly deadlineMs: number },
): Promise<FileResult> {
  const startedAt = performance.now();
  const reports: Report[] = [];
  let output = "";
  let problem: string | undefined;
  let isFinished = false;
  const child = spawn(
    process.execPath,
    ["--test-reporter", REPORTER, "--test-reporter-destination", "stdout", file],
    { stdio: ["ignore", "pipe", "pipe", "ipc"], detached: true },
  );
  if (child.pid !== undefined) running.add(child.pid);
  const endGroup = (why: string): void => {
    problem ??= why;
    endProcessGroup(child.pid);
  };
  const deadline = setTimeout(
    () => endGroup(`did not end within ${options.deadlineMs / 1_000} s`),
    options.deadlineMs,
  );
  let leftOpen: NodeJS.Timeout | undefined;
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-KEPT_OUTPUT_CHARACTERS);
  };
  child.stdout?.on("data", keep);
  child.stderr?.on("data", keep);
  child.on("message", (message) => {
    const report = message as Report;
    clearTimeout(leftOpen);
    if (report.kind === "finished") {
      isFinished = true;
    } else if (report.kind === "idle") {
      // Node itself says that the file is through only when nothing is open any more.
      leftOpen = setTimeout(
        () => endGroup("left something open: the process did not end after its last test"),
        LEFT_OPEN_AFTER_MS,
      );
    } else {
      reports.push(report);
    }
  });
  return new Promise((resolve) => {
    child.on("error", (error) => (problem ??= error.message));
    child.on("exit", (code, signal) => {
      clearTimeout(deadline);
      clearTimeout(leftOpen);
      const hasFailure = reports.some((one) => one.kind === "failed");
      if (!hasFailure && code !== 0) problem ??= `ended with ${signal ?? `exit code ${code}`}`;
      if (reports.length === 0) problem ??= "has no test that came to its end";
      if (!isFinished) problem ??= "ended before its tests were through";
      // What the tests started and did not end would live on, holding ports and the machine.
      endProcessGroup(child.pid);
      if (child.pid !== undefined) running.delete(child.pid);
      resolve({ file, reports, problem, output, durationMs: performance.now() - startedAt });
    });
  });
}

function endProcessGroup(id: number | undefined): void {
  if (id === undefined) return;
  try {
    process.kill(-id, "SIGKILL");
  } catch {
    // ESRCH: the group has no member any more, which is what was wanted.
  }
}
