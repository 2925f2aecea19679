import { freePort } from "./free-port.ts";
import { startProcess, type RunningProcess } from "./process.ts";
import { tempFolder } from "./temp-folder.ts";

export interface Redis extends AsyncDisposable {
  readonly port: number;
  /** Such as `redis://127.0.0.1:4711`. */
  readonly url: string;
  /** The server itself, for tests that stop, freeze (SIGSTOP) or kill it. */
  readonly process: RunningProcess;
}

/** A real redis-server on loopback with an empty folder of its own; nothing is written to disk. */
export async function startRedis(
  options: { readonly args?: readonly string[] } = {},
): Promise<Redis> {
  const folder = await tempFolder();
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    const address = ["--bind", "127.0.0.1", "--port", String(port), "--dir", folder.path];
    const quiet = ["--save", "", "--appendonly", "no", ...(options.args ?? [])];
    try {
      const server = await startProcess({
        command: "redis-server",
        args: [...address, ...quiet],
        readyWhen: "Ready to accept connections",
      });
      return {
        port,
        url: `redis://127.0.0.1:${port}`,
        process: server,
        async [Symbol.asyncDispose]() {
          await server[Symbol.asyncDispose]();
          await folder[Symbol.asyncDispose]();
        },
      };
    } catch (error) {
      // The port was free when it was chosen; somebody else may have been faster.
      if (attempt < 3 && String(error).includes("Address already in use")) continue;
      await folder[Symbol.asyncDispose]();
      throw error;
    }
  }
}
