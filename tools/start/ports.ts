import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { PORT_VARIABLES, type StartConfig } from "./config.ts";
import { readJsonFile, writePrivateFile } from "./private-file.ts";

/** Where everything of the demo listens, on loopback. The last three are internal: people do not need them. */
export interface Ports {
  readonly gateway: number;
  readonly admin: number;
  readonly identity: number;
  readonly identityAdmin: number;
  readonly tasks: number;
  readonly workspace: number;
}

const FILE_NAME = "ports.json";

/**
 * Settles every port: the one asked for, else the one of the last start if it is free, else any free one. Remembers them.
 * @param options.patienceMs how long to wait for a port that is taken: what a killed launcher started needs a moment to end
 * @throws {Error} naming the variable to change when a port that was asked for is in use
 */
export async function reservePorts(
  config: StartConfig,
  options: { readonly patienceMs: number },
): Promise<Ports> {
  const file = join(config.dataFolder, FILE_NAME);
  const remembered = rememberedPorts(readJsonFile(file));
  const taken = new Set<number>(Object.values(config.ports));
  const settle = async (name: keyof Ports, asked: number): Promise<number> => {
    if (asked !== 0) {
      await requireFree(name, asked, options.patienceMs);
      return asked;
    }
    const before = remembered[name];
    const port =
      before !== undefined && !taken.has(before) && (await becomesFree(before, options.patienceMs))
        ? before
        : await anyFreePort(taken);
    taken.add(port);
    return port;
  };
  const ports: Ports = {
    gateway: await settle("gateway", config.ports.gateway),
    admin: await settle("admin", config.ports.admin),
    identity: await settle("identity", config.ports.identity),
    identityAdmin: await settle("identityAdmin", 0),
    tasks: await settle("tasks", 0),
    workspace: await settle("workspace", 0),
  };
  writePrivateFile(file, `${JSON.stringify(ports, undefined, 2)}\n`);
  return ports;
}

async function requireFree(name: keyof Ports, port: number, patienceMs: number): Promise<void> {
  if (await becomesFree(port, patienceMs)) return;
  const variable =
    name in PORT_VARIABLES ? PORT_VARIABLES[name as keyof typeof PORT_VARIABLES] : name;
  throw new Error(
    `Cannot start: port ${port} is in use. Stop what listens there, or set ${variable} to another port (0: any free one)`,
  );
}

async function becomesFree(port: number, patienceMs: number): Promise<boolean> {
  const endsAt = performance.now() + patienceMs;
  for (;;) {
    if ((await listenOnce(port)) !== undefined) return true;
    if (performance.now() >= endsAt) return false;
    await sleep(50);
  }
}

async function anyFreePort(taken: ReadonlySet<number>): Promise<number> {
  for (;;) {
    const port = await listenOnce(0);
    if (port === undefined) throw new Error("Cannot start: no port of 127.0.0.1 is free");
    if (!taken.has(port)) return port;
  }
}

/** Listens and stops at once. Returns the port, undefined when it is in use. */
async function listenOnce(port: number): Promise<number | undefined> {
  const server = createServer();
  try {
    server.listen({ port, host: "127.0.0.1", exclusive: true });
    await once(server, "listening");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EADDRINUSE") return undefined;
    throw new Error(`Cannot listen on port ${port} of 127.0.0.1`, { cause: error });
  }
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" ? address?.port : undefined;
}

function rememberedPorts(value: unknown): Partial<Ports> {
  if (typeof value !== "object" || value === null) return {};
  const usable = Object.entries(value).filter(
    ([, port]) => Number.isInteger(port) && port > 0 && port <= 65_535,
  );
  return Object.fromEntries(usable);
}
