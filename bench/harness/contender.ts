import { startProcess, type RunningProcess } from "@tidegate/testkit";
import { type Cores, pinned } from "./pinning.ts";

/** A server under test, running in its own process on the server's core. */
export interface Contender extends AsyncDisposable {
  readonly name: string;
  readonly port: number;
  readonly pid: number;
  /** What it printed, for when something went wrong. */
  output(): string;
}

/**
 * Starts a server and waits for its line.
 * @param options.core where it runs: `server` for what is measured, `generator` for what only helps
 */
export async function startContender(options: {
  readonly name: string;
  readonly port: number;
  readonly command: readonly string[];
  readonly cores: Cores;
  readonly core: "server" | "generator";
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly readyWhen?: string | RegExp;
}): Promise<Contender> {
  const { name, port, cores, core } = options;
  const command = cores.isPinned ? pinned(cores[core], options.command) : options.command;
  const [program = "", ...args] = command;
  const running: RunningProcess = await startProcess({
    command: program,
    args,
    deadlineMs: 20_000,
    ...(options.env === undefined ? {} : { env: options.env }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.readyWhen === undefined ? {} : { readyWhen: options.readyWhen }),
  });
  return {
    name,
    port,
    pid: running.pid,
    output: () => running.output(),
    async [Symbol.asyncDispose]() {
      await running.stop({ signal: "SIGTERM", deadlineMs: 5_000 }).catch(() => undefined);
      await running[Symbol.asyncDispose]();
    },
  };
}
