import { systemClock } from "@tidegate/clock";
import { createLogger, stopOnSignal } from "@tidegate/service-kit";
import { readConfig } from "./config.ts";
import { startWorkspace } from "./server.ts";

try {
  const config = readConfig(process.env);
  const logger = createLogger({ service: "workspace", level: config.log.level });
  const server = await startWorkspace(config);
  stopOnSignal(process, server.stages, { clock: systemClock, logger });
  // Written whatever the log level: who started this process waits for it.
  const { url } = server;
  process.stdout.write(
    `${JSON.stringify({ service: "workspace", event: "workspace.listening", url })}\n`,
  );
  process.send?.({ type: "ready", url });
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
  if (process.connected) process.disconnect?.();
}
