import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { waitFor } from "./wait-for.ts";

export interface Exit {
  /** Null when a signal ended the process. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface RunningProcess extends AsyncDisposable {
  readonly pid: number;
  /** Everything printed so far on both outputs, in order of arrival; the last mebibyte of it. */
  output(): string;
  stdout(): string;
  stderr(): string;
  /** How it ended; undefined while it runs. */
  exit(): Exit | undefined;
  /** Waits until it has ended by itself. @throws {Error} with its output when the deadline passes */
  exited(options?: { readonly deadlineMs?: number }): Promise<Exit>;
  /** Waits until its output has `text` or matches. @throws {Error} with its output at the deadline or if it ended first */
  printed(text: string | RegExp, options?: { readonly deadlineMs?: number }): Promise<void>;
  signal(signal: NodeJS.Signals): void;
  /** Writes to its standard input. */
  write(text: string): void;
  /** Sends `signal` (SIGTERM) and waits for the end. @throws {Error} with its output when it does not end in time */
  stop(options?: { readonly signal?: NodeJS.Signals; readonly deadlineMs?: number }): Promise<Exit>;
}

// More than any server of ours prints in a test; what exceeds it loses its beginning.
const KEPT_OUTPUT_CHARACTERS = 1024 * 1024;

/**
 * Runs a program and captures what it prints. It gets PATH, HOME and TMPDIR of the test and `env`, nothing else: no
 * NODE_OPTIONS, no test runner's variables. Disposing of it kills it, if it still runs, by its id.
 * @param options.command the program; without it this Node
 * @param options.readyWhen text or pattern that must be printed before the promise resolves
 * @throws {Error} with its output when it ends or the deadline passes before it is ready
 */
export async function startProcess(options: {
  readonly args: readonly string[];
  readonly command?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly readyWhen?: string | RegExp;
  readonly deadlineMs?: number;
}): Promise<RunningProcess> {
  const { PATH = "", HOME = "", TMPDIR } = process.env;
  const child = spawn(options.command ?? process.execPath, options.args, {
    cwd: options.cwd,
    env: { PATH, HOME, ...(TMPDIR === undefined ? {} : { TMPDIR }), ...options.env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  let output = "";
  let exit: Exit | undefined;
  let failure: Error | undefined;
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout = (stdout + text).slice(-KEPT_OUTPUT_CHARACTERS);
    output = (output + text).slice(-KEPT_OUTPUT_CHARACTERS);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(-KEPT_OUTPUT_CHARACTERS);
    output = (output + text).slice(-KEPT_OUTPUT_CHARACTERS);
  });
  // Writing to a process that has ended is no event of its own; its end is.
  child.stdin.on("error", () => undefined);
  child.on("error", (error) => (failure = error));
  // `close` comes after the outputs were read to their end; `exit` would be too early for assertions on them.
  child.on("close", (code, signal) => (exit ??= { code, signal }));
  // A grandchild may hold the outputs open long after the process itself has ended.
  child.on("exit", (code, signal) => {
    void sleep(500, undefined, { ref: false }).then(() => (exit ??= { code, signal }));
  });

  const name = [options.command ?? "node", ...options.args].join(" ");
  const told = (problem: string, cause: unknown): Error =>
    new Error(`${problem}: ${name}\n--- its output:\n${output || "(nothing)"}\n---`, { cause });
  const running: RunningProcess = {
    pid: child.pid ?? 0,
    output: () => output,
    stdout: () => stdout,
    stderr: () => stderr,
    exit: () => exit,
    exited: ({ deadlineMs = 10_000 } = {}) =>
      waitFor(() => exit, { what: "its end", deadlineMs }).catch((cause: unknown) => {
        throw told(`Process did not end within ${deadlineMs} ms`, cause);
      }),
    async printed(text, { deadlineMs = 10_000 } = {}) {
      const has = (): boolean =>
        typeof text === "string" ? output.includes(text) : text.test(output);
      await waitFor(() => has() || exit !== undefined || failure !== undefined, {
        what: `it to print ${text}`,
        deadlineMs,
      }).catch((cause: unknown) => {
        throw told(`Process did not print ${text} within ${deadlineMs} ms`, cause);
      });
      if (!has()) {
        const how = failure?.message ?? `code ${exit?.code}, signal ${exit?.signal}`;
        throw told(`Process ended (${how}) before it printed ${text}`, failure);
      }
    },
    signal: (signal) => void child.kill(signal),
    write: (text) => void child.stdin.write(text),
    stop({ signal = "SIGTERM", deadlineMs = 10_000 } = {}) {
      child.kill(signal);
      return this.exited({ deadlineMs });
    },
    async [Symbol.asyncDispose]() {
      if (exit !== undefined || failure !== undefined) return;
      child.kill("SIGKILL");
      await this.exited();
    },
  };
  if (options.readyWhen !== undefined) {
    try {
      await running.printed(options.readyWhen, { deadlineMs: options.deadlineMs ?? 15_000 });
    } catch (error) {
      await running[Symbol.asyncDispose]();
      throw error;
    }
  }
  return running;
}
