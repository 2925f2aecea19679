import { fork, spawn, type ChildProcess } from "node:child_process";
import { mkdtempDisposable, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { finished } from "node:stream/promises";
import { fileURLToPath } from "node:url";

const main = fileURLToPath(new URL("../src/cli/main.ts", import.meta.url));

/** How a command ended. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
}

/** A folder outside the checkout, removed at the end, with these files in it. */
export async function folderWith(files: Readonly<Record<string, string>>) {
  const folder = await mkdtempDisposable(join(tmpdir(), "tidegate-cli-"));
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder.path, name), text);
  return folder;
}

/** Runs one command to its end. */
export function tidegate(
  words: readonly string[],
  {
    cwd,
    input = "",
    program = [process.execPath, main],
  }: {
    cwd: string;
    input?: string;
    program?: readonly string[];
  },
): Promise<Ended> {
  const [command = "", ...before] = program;
  const child = spawn(command, [...before, ...words], { cwd, stdio: "pipe", timeout: 20_000 });
  child.stdin.end(input);
  return collect(child).ended;
}

/** A gateway in a process of its own, with an IPC channel. */
export interface Running extends AsyncDisposable {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** What it sent once it listened; rejects when it ended before. */
  readonly ready: Promise<{
    readonly type: string;
    readonly url: string;
    readonly adminUrl: string;
  }>;
  /** Resolves when standard output has a line of this event. */
  seen(event: string): Promise<Readonly<Record<string, unknown>>>;
}

export function startTidegate(file: string, { cwd }: { cwd: string }): Running {
  const child = fork(main, ["start", file], { cwd, silent: true });
  const { ended, output } = collect(child);
  const ready = Promise.race([
    new Promise<Awaited<Running["ready"]>>((resolve) => {
      child.once("message", (message) => resolve(message as Awaited<Running["ready"]>));
    }),
    ended.then(({ out, err }) =>
      Promise.reject(new Error(`ended before it was ready: ${out}${err}`)),
    ),
  ]);
  // Tests that wait for something else must not fail on this one.
  ready.catch(() => {});
  return {
    child,
    ended,
    ready,
    async seen(event) {
      for await (const line of output()) {
        if (line.includes(`"event":"${event}"`)) return JSON.parse(line);
      }
      throw new Error(`ended without ${event}`);
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

function collect(child: ChildProcess) {
  let out = "";
  let err = "";
  let isOver = false;
  let wake = Promise.withResolvers<void>();
  const signalChange = (): void => {
    wake.resolve();
    wake = Promise.withResolvers<void>();
  };
  child.stdout?.on("data", (chunk: Buffer) => {
    out += chunk.toString();
    signalChange();
  });
  child.stderr?.on("data", (chunk: Buffer) => (err += chunk.toString()));
  // Not `close`: that event never comes after the channel was closed from this side.
  const exit = new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => resolve([code, signal]));
  });
  const outputs = [child.stdout, child.stderr].flatMap((stream) =>
    stream ? [finished(stream)] : [],
  );
  const ended = Promise.all([exit, ...outputs]).then(([[code, signal]]): Ended => {
    isOver = true;
    signalChange();
    return { code, signal, out, err };
  });
  /** Lines of standard output from the first on, as they come, until the process ends. */
  async function* output(): AsyncGenerator<string> {
    for (let position = 0; ;) {
      const end = out.indexOf("\n", position);
      if (end >= 0) {
        yield out.slice(position, end);
        position = end + 1;
      } else if (isOver) return;
      else await wake.promise;
    }
  }
  return { ended, output };
}
