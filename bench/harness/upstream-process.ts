import { join } from "node:path";
import { startProcess } from "@tidegate/testkit";
import { type Cores, pinned } from "./pinning.ts";

/** Starts `lean-upstream.ts` on the generator's core. */
export async function startLeanUpstream(
  cores: Cores,
): Promise<AsyncDisposable & { readonly port: number }> {
  const node = [process.execPath, join(import.meta.dirname, "lean-upstream.ts")];
  const [command = "", ...args] = cores.isPinned ? pinned(cores.generator, node) : node;
  const running = await startProcess({ command, args, readyWhen: /listening \d+/ });
  const port = Number(/listening (\d+)/.exec(running.stdout())?.[1]);
  return { port, [Symbol.asyncDispose]: () => running[Symbol.asyncDispose]() };
}
