import { writeFile } from "node:fs/promises";
import { createPublicKey } from "node:crypto";
import { join } from "node:path";
import type { Issuer, TempFolder } from "@tidegate/testkit";
import type { Contender } from "../harness/contender.ts";
import { oneAnswer } from "../harness/one-answer.ts";
import type { Cores } from "../harness/pinning.ts";
import { startedContenders } from "../harness/started-contenders.ts";
import { gatewayCommand, logFileOf } from "./gateway.ts";
import { haproxyCommand } from "./peers/haproxy.ts";
import { nginxCommand } from "./peers/nginx.ts";

export const OURS = "tidegate";
/** A second process of ours that sees every token once only, so that each is verified. */
export const OURS_WITHOUT_MEMORY = "tidegate-memory-off";

/** All servers of the comparison, running; `log` is the file of our access log. */
export interface Contenders extends AsyncDisposable {
  readonly all: readonly Contender[];
  readonly logFile: string;
}

const NODE_PEERS = ["http-proxy", "undici-proxy", "fast-gateway", "fastify-http-proxy"] as const;

export async function startContenders(options: {
  readonly folder: TempFolder;
  readonly cores: Cores;
  readonly upstreamPort: number;
  readonly issuer: Issuer;
  /** A request that every one of them answers with 200. */
  readonly probe: Buffer;
}): Promise<Contenders> {
  const { folder, cores, upstreamPort, issuer, probe } = options;
  await using stack = new AsyncDisposableStack();
  const { all, start } = stack.use(
    startedContenders({
      cores,
      what: "to answer",
      serves: async (port) => (await oneAnswer(port, probe)).status === 200,
    }),
  );
  const publicKeyFile = folder.file("issuer.pem");
  await writeFile(publicKeyFile, publicKeyOf(issuer));

  for (const name of [OURS, OURS_WITHOUT_MEMORY]) {
    await start(name, (port) =>
      gatewayCommand({ folder, name, port, upstreamPort, issuer: issuer.url }),
    );
  }
  await start("haproxy-limit", (port) =>
    haproxyCommand({ folder, name: "haproxy-limit", port, upstreamPort }),
  );
  await start("haproxy-limit-rs256", (port) =>
    haproxyCommand({ folder, name: "haproxy-limit-rs256", port, upstreamPort, publicKeyFile }),
  );
  await start("nginx-limit", (port) => nginxCommand({ folder, port, upstreamPort }));
  for (const name of NODE_PEERS) {
    const script = join(import.meta.dirname, "peers", `${name}.ts`);
    await start(name, (port) =>
      Promise.resolve([process.execPath, script, String(port), String(upstreamPort)]),
    );
  }
  const running = stack.move();
  return {
    all,
    logFile: logFileOf(folder, OURS),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

function publicKeyOf(issuer: Issuer): string {
  const key = issuer.keySet().keys.find((one) => one.alg === "RS256");
  if (key === undefined) throw new Error("Cannot use this issuer: it has no RS256 key");
  const pem = createPublicKey({ key: { ...key }, format: "jwk" });
  return pem.export({ type: "spki", format: "pem" });
}
