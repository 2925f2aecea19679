import { join } from "node:path";
import { freePort, type TempFolder, waitFor } from "@tidegate/testkit";
import { startContender, type Contender } from "../harness/contender.ts";
import type { Cores } from "../harness/pinning.ts";
import { gatewayCommand } from "./gateway.ts";
import { haproxyTunnelCommand } from "./peers/haproxy-tunnel.ts";
import { openSocket } from "./socket-load.ts";

export const OURS = "tidegate";

const NODE_PEERS = ["plain-tcp", "ws-relay", "http-proxy"] as const;

/** All servers of the comparison, running. */
export interface Contenders extends AsyncDisposable {
  readonly all: readonly Contender[];
  /** Of our log. */
  readonly logFile: string;
}

export async function startContenders(options: {
  readonly folder: TempFolder;
  readonly cores: Cores;
  readonly upstreamPort: number;
}): Promise<Contenders> {
  const { folder, cores, upstreamPort } = options;
  await using stack = new AsyncDisposableStack();
  const all: Contender[] = [];
  const logFile = folder.file("sockets.log");
  const start = async (
    name: string,
    command: (port: number) => Promise<readonly string[]>,
  ): Promise<void> => {
    const port = await freePort();
    const contender = await startContender({
      name,
      port,
      command: await command(port),
      cores,
      core: "server",
      env: { NODE_ENV: "production" },
    });
    stack.use(contender);
    await waitFor(
      async () => {
        (await openSocket(port, "/live")).destroy();
        return true;
      },
      { what: `${name} to accept a socket`, deadlineMs: 15_000, everyMs: 50 },
    ).catch((cause: unknown) => {
      throw new Error(`Cannot use ${name}: ${contender.output()}`, { cause });
    });
    all.push(contender);
  };

  await start(OURS, (port) => gatewayCommand({ folder, port, upstreamPort, logFile }));
  await start("haproxy-tunnel", (port) => haproxyTunnelCommand({ folder, port, upstreamPort }));
  for (const name of NODE_PEERS) {
    const script = join(import.meta.dirname, "peers", `${name}.ts`);
    await start(name, (port) =>
      Promise.resolve([process.execPath, script, String(port), String(upstreamPort)]),
    );
  }
  const running = stack.move();
  return { all, logFile, [Symbol.asyncDispose]: () => running.disposeAsync() };
}
