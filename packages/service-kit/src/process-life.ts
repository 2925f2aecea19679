import type { Clock } from "@tidegate/clock";
import type { Logger } from "./logger.ts";

/** The stages of stopping, in order. Each is safe to call when the one before failed. */
export interface Stages {
  /** Refuse new work, tell sockets to come back later. Immediate. */
  drain(): void;
  /** Resolves when what was running is done. */
  finish(): Promise<void>;
  /** Cuts what is still running. Immediate. */
  cut(): void;
  /** Closes stores and writes out what is buffered. */
  flush(): Promise<void>;
}

// Under the ten seconds that process managers commonly grant between asking and killing.
const DEADLINE_MS = 8_000;
const FLUSH_DEADLINE_MS = 1_500;

/**
 * Stops a service in stages. What runs longer than the deadline is cut, and the stores are closed in any case.
 * @returns whether everything finished by itself
 */
export async function stopInStages(
  stages: Stages,
  options: { readonly clock: Clock; readonly logger: Logger; readonly deadlineMs?: number },
): Promise<boolean> {
  stages.drain();
  const late = Promise.withResolvers<"late">();
  const timer = options.clock.after(options.deadlineMs ?? DEADLINE_MS, () => late.resolve("late"));
  const outcome = await Promise.race([finishOrFail(stages, options.logger), late.promise]);
  timer.cancel();
  stages.cut();
  await stages.flush();
  options.logger.info({ event: "service.stopped", isComplete: outcome === "done" });
  return outcome === "done";
}

async function finishOrFail(stages: Stages, logger: Logger): Promise<"done" | "failed"> {
  try {
    await stages.finish();
    return "done";
  } catch (error) {
    logger.error({ event: "service.finish_failed", err: error });
    return "failed";
  }
}

/**
 * Ties a service to its process: SIGTERM, SIGINT or the end of the parent stop it in stages; the process ends when
 * its event loop is empty, and is ended only if that does not happen in time or a second signal comes.
 */
export function stopOnSignal(
  host: NodeJS.Process,
  stages: Stages,
  options: { readonly clock: Clock; readonly logger: Logger },
): void {
  let isStopping = false;
  const stop = (reason: string): void => {
    if (isStopping) {
      if (reason !== "disconnect") host.exit(1);
      return;
    }
    isStopping = true;
    options.logger.info({ event: "service.stopping", reason });
    options.clock.after(DEADLINE_MS + FLUSH_DEADLINE_MS, () => host.exit(1));
    void stopAndReport();
  };
  const stopAndReport = async (): Promise<void> => {
    try {
      host.exitCode = (await stopInStages(stages, options)) ? 0 : 1;
      if (host.connected) host.disconnect?.();
    } catch (error) {
      options.logger.error({ event: "service.stop_failed", err: error });
      host.exit(1);
    }
  };
  host.on("SIGTERM", () => stop("SIGTERM"));
  host.on("SIGINT", () => stop("SIGINT"));
  if (host.connected) host.once("disconnect", () => stop("disconnect"));
}
