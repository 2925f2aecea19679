import { environment, LOG_LEVELS, type LogLevel } from "@tidegate/service-kit";

export interface WorkspaceConfig {
  readonly port: number;
  readonly log: { readonly level: LogLevel };
}

const VARIABLES = {
  WORKSPACE_PORT: environment.integer("port to listen on, on loopback; 0 takes a free one", {
    min: 0,
    max: 65_535,
    default: 4104,
  }),
  WORKSPACE_LOG_LEVEL: environment.choice("the least important lines to write", LOG_LEVELS, "info"),
};

/**
 * Reads the configuration of the process, once.
 * @throws {Error} one message with everything that is wrong
 */
export function readConfig(
  variables: Readonly<Record<string, string | undefined>>,
): WorkspaceConfig {
  const read = environment.readEnvironment(VARIABLES, variables, { prefix: "WORKSPACE_" });
  return Object.freeze({
    port: read.WORKSPACE_PORT,
    log: { level: read.WORKSPACE_LOG_LEVEL },
  });
}
