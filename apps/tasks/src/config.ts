import { isIP } from "node:net";
import { environment, LOG_LEVELS, type LogLevel } from "@tidegate/service-kit";

export interface TasksConfig {
  readonly listen: { readonly host: string; readonly port: number };
  readonly store: { readonly databaseFile: string; readonly maxTasksPerPerson: number };
  readonly gateway: {
    readonly publicUrl: string;
    readonly jwksUrl: URL;
    readonly audience: string;
  };
  readonly log: { readonly level: LogLevel };
  /** What an operator should know about this configuration. */
  readonly warnings: readonly string[];
}

const VARIABLES = {
  TASKS_HOST: environment.text("address to listen on", "127.0.0.1"),
  TASKS_PORT: environment.integer("port to listen on; 0 takes a free one", {
    min: 0,
    max: 65_535,
    default: 4101,
  }),
  TASKS_DATABASE: environment.text("path of the database file; made if it is not there"),
  TASKS_GATEWAY_URL: environment.httpUrl(
    "where people reach the gateway, which signs what it forwards (its publicUrl)",
  ),
  TASKS_JWKS_URL: environment.httpUrl(
    "where the gateway's keys are fetched; TASKS_GATEWAY_URL/.tidegate/jwks.json unless set",
    "http://unset.invalid",
  ),
  TASKS_AUDIENCE: environment.text("this service's name as the gateway's upstream", "tasks"),
  TASKS_LOG_LEVEL: environment.choice("the least important lines to write", LOG_LEVELS, "info"),
  TASKS_MAX_PER_PERSON: environment.integer("tasks that one person may have", {
    min: 1,
    max: 1_000_000,
    default: 10_000,
  }),
  TASKS_DANGEROUSLY_LISTEN_BEYOND_LOOPBACK: environment.flag(
    "whether other machines may connect; who reaches this port past the gateway is met by no limit",
  ),
};

/**
 * Reads the configuration of the process, once.
 * @throws {Error} one message with everything that is wrong
 */
export function readConfig(variables: Readonly<Record<string, string | undefined>>): TasksConfig {
  const read = environment.readEnvironment(VARIABLES, variables, { prefix: "TASKS_" });
  const isBeyondLoopback = !isLoopback(read.TASKS_HOST);
  if (isBeyondLoopback && !read.TASKS_DANGEROUSLY_LISTEN_BEYOND_LOOPBACK) {
    throw new Error(
      `Cannot listen on ${read.TASKS_HOST}: it is not a loopback address; set TASKS_DANGEROUSLY_LISTEN_BEYOND_LOOPBACK=true to do so`,
    );
  }
  const publicUrl = read.TASKS_GATEWAY_URL.href.replace(/\/$/, "");
  return Object.freeze({
    listen: { host: read.TASKS_HOST, port: read.TASKS_PORT },
    store: { databaseFile: read.TASKS_DATABASE, maxTasksPerPerson: read.TASKS_MAX_PER_PERSON },
    gateway: {
      publicUrl,
      jwksUrl:
        variables["TASKS_JWKS_URL"] === undefined
          ? new URL(`${publicUrl}/.tidegate/jwks.json`)
          : read.TASKS_JWKS_URL,
      audience: read.TASKS_AUDIENCE,
    },
    log: { level: read.TASKS_LOG_LEVEL },
    warnings: isBeyondLoopback ? [`listening beyond loopback, on ${read.TASKS_HOST}`] : [],
  });
}

/** The database alone, for commands that do not serve. */
export function readDatabaseFile(variables: Readonly<Record<string, string | undefined>>): string {
  const { TASKS_DATABASE } = VARIABLES;
  return environment.readEnvironment({ TASKS_DATABASE }, variables, { prefix: "TASKS_DATABASE" })
    .TASKS_DATABASE;
}

function isLoopback(host: string): boolean {
  return isIP(host) === 0 ? host === "localhost" : host === "::1" || host.startsWith("127.");
}
