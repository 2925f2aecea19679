import type { Clock, Random } from "@tidegate/clock";
import { firstLineOf, formatPath } from "../config/config-error.ts";
import { findConfigFile } from "../config/find-config-file.ts";
import { loadConfig } from "../config/load-config.ts";
import type { GatewayConfig } from "../config/schema.ts";
import { EXIT, type ExitCode, type Terminal } from "./terminal.ts";

/** The gateway as starting and stopping need it. */
export interface RunningGateway extends AsyncDisposable {
  start(): Promise<{ readonly url: string; readonly adminUrl: string }>;
  /** Stops in stages; bounded by the configured drain time. */
  stop(reason: string): Promise<void>;
}

export type CreateGateway = (
  config: GatewayConfig,
  parts: { readonly clock: Clock; readonly random: Random },
) => RunningGateway;

/** What tells a running process to do something, and whom it tells that it is ready. */
export interface ProcessLife {
  /** Calls `listener` for every signal of that name, and takes its default effect away, until disposed. */
  onSignal(signal: "SIGTERM" | "SIGINT" | "SIGHUP", listener: () => void): Disposable;
  /** Calls `listener` when the process that started this one closes its channel, or is gone. */
  onDisconnect(listener: () => void): Disposable;
  /** Sends a message to the process that started this one, if it opened a channel. */
  tellParent(message: Readonly<Record<string, unknown>>): void;
  /** Ends the process at once, whatever still runs. */
  end(code: ExitCode): void;
}

export interface StartParts {
  readonly terminal: Terminal;
  readonly life: ProcessLife;
  readonly clock: Clock;
  readonly random: Random;
  readonly createGateway: CreateGateway;
}

/**
 * Runs the gateway until it is told to stop.
 * @throws {ConfigError} when the configuration cannot be used
 */
export async function startCommand(
  { terminal, life, clock, random, createGateway }: StartParts,
  { file }: { file: string | undefined },
): Promise<ExitCode> {
  const found = await findConfigFile(file, terminal.workingFolder);
  const { config, warnings } = await loadConfig(found, { environment: terminal.environment });
  const log: Log = (level, event, facts) => {
    const time = new Date(clock.wallMs()).toISOString();
    terminal.print(JSON.stringify({ level, time, event, ...facts }));
  };
  for (const { path, reason } of warnings) {
    log("warn", "setting.warned", { path: formatPath(path), detail: reason });
  }

  // Listened to before anything is open: a stop that comes while the gateway starts is kept, not lost.
  using stop = awaitStop(life, log);
  await using gateway = createGateway(config, { clock, random });
  try {
    const { url, adminUrl } = await gateway.start();
    log("info", "tidegate.listening", { url, adminUrl, config: found });
    life.tellParent({ type: "ready", url, adminUrl });
  } catch (error) {
    terminal.complain(`Cannot start: ${firstLineOf(error)}`);
    return EXIT.failed;
  }
  const reason = await stop.reason;
  log("info", "tidegate.stopping", { reason, drainTimeoutMs: config.shutdown.drainTimeoutMs });
  await gateway.stop(reason);
  log("info", "tidegate.stopped", { reason });
  return EXIT.fine;
}

/** A line of the same form as the gateway's own log, which is not open before the start nor after the stop. */
type Log = (
  level: "info" | "warn",
  event: string,
  facts: Readonly<Record<string, unknown>>,
) => void;

/** The first thing that asks for a stop; the second one ends the process. */
function awaitStop(life: ProcessLife, log: Log): Disposable & { readonly reason: Promise<string> } {
  const { promise, resolve } = Promise.withResolvers<string>();
  let isStopping = false;
  const ask = (reason: string): void => {
    if (isStopping) {
      log("info", "tidegate.forced", { reason });
      life.end(EXIT.failed);
    }
    isStopping = true;
    resolve(reason);
  };
  const listeners = [
    life.onSignal("SIGTERM", () => ask("SIGTERM")),
    life.onSignal("SIGINT", () => ask("SIGINT")),
    life.onSignal("SIGHUP", () => log("info", "tidegate.reload_not_offered", { reason: "SIGHUP" })),
    life.onDisconnect(() => {
      // The starter is gone and cannot ask again: going on with the stop that runs is all it can want.
      if (!isStopping) ask("starter gone");
    }),
  ];
  return {
    reason: promise,
    [Symbol.dispose]: () => {
      for (const listener of listeners) listener[Symbol.dispose]();
    },
  };
}
