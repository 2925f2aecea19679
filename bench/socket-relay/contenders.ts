import { join } from "node:path";
import type { TempFolder } from "@tidegate/testkit";
import type { Contender } from "../harness/contender.ts";
import type { Cores } from "../harness/pinning.ts";
import { startedContenders } from "../harness/started-contenders.ts";
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
  const { all, start } = stack.use(
    startedContenders({
      cores,
      what: "to accept a socket",
      async serves(port) {
        (await openSocket(port, "/live")).destroy();
        return true;
      },
    }),
  );
  const logFile = folder.file("sockets.log");

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
