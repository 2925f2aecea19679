import { resolve } from "node:path";

export interface StartConfig {
  /** What to listen on; 0 takes a free port and remembers it. */
  readonly ports: { readonly gateway: number; readonly admin: number; readonly identity: number };
  /** Absolute path of the folder that holds everything the demo keeps. */
  readonly dataFolder: string;
}

/** The variables that choose the ports, by what listens there. */
export const PORT_VARIABLES = {
  gateway: "TIDEGATE_PORT",
  admin: "TIDEGATE_ADMIN_PORT",
  identity: "TIDEGATE_IDENTITY_PORT",
} as const;

const LOOPBACK = new Set(["127.0.0.1", "localhost", "::1"]);

/**
 * Reads the environment of `npm start`.
 * @throws {Error} one message with everything that is wrong
 */
export function readStartConfig(
  variables: Readonly<Record<string, string | undefined>>,
  options: { readonly workingFolder: string },
): StartConfig {
  const problems: string[] = [];
  const port = (name: string, byDefault: number): number => {
    const text = variables[name];
    if (text === undefined || text === "") return byDefault;
    const value = Number(text);
    if (/^\d{1,5}$/.test(text) && value <= 65_535) return value;
    problems.push(
      `${name}=${text} is not a port: a whole number from 0 to 65535 (0: any free one)`,
    );
    return byDefault;
  };
  const ports = {
    gateway: port(PORT_VARIABLES.gateway, 8080),
    admin: port(PORT_VARIABLES.admin, 9090),
    identity: port(PORT_VARIABLES.identity, 8081),
  };
  const chosen = Object.values(ports).filter((one) => one !== 0);
  if (new Set(chosen).size < chosen.length) {
    problems.push(
      `${Object.values(PORT_VARIABLES).join(", ")} have to differ, they are ${chosen.join(", ")}`,
    );
  }
  // The demo speaks plain HTTP and shows its passwords: other machines have no business here.
  const host = variables["TIDEGATE_HOST"] ?? "";
  if (host !== "" && !LOOPBACK.has(host)) {
    problems.push(
      `TIDEGATE_HOST=${host} is not loopback: the demo is for this machine only. For others, write a configuration and run \`tidegate start\``,
    );
  }
  if (problems.length > 0) throw new Error(`Cannot start:\n  ${problems.join("\n  ")}`);
  const folder = variables["TIDEGATE_DATA"];
  return Object.freeze({
    ports,
    dataFolder: resolve(
      options.workingFolder,
      folder === undefined || folder === "" ? ".tidegate" : folder,
    ),
  });
}
