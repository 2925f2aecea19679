import { systemClock, systemRandom } from "@tidegate/clock";
import { createAssertionVerifier } from "@tidegate/auth";
import { backUp, createLogger, stopOnSignal } from "@tidegate/service-kit";
import { readConfig, readDatabaseFile } from "./config.ts";
import { AFTER_BACKUP } from "./schema.ts";
import { startTasks } from "./server.ts";

const USAGE = `Usage: main.ts                 serve, configured by TASKS_… variables
       main.ts backup <file>   copy the database to a new file, also while it is being served`;

await main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
  if (process.connected) process.disconnect?.();
});

async function main(words: readonly string[]): Promise<void> {
  const [command, file, ...more] = words;
  if (command === undefined) return serve();
  if (command !== "backup" || file === undefined || more.length > 0) throw new Error(USAGE);
  backUp({ from: readDatabaseFile(process.env), to: file, afterCopy: AFTER_BACKUP });
  process.stdout.write(`Backed up to ${file}\n`);
}

async function serve(): Promise<void> {
  const config = readConfig(process.env);
  const logger = createLogger({ service: "tasks", level: config.log.level });
  for (const warning of config.warnings) logger.warn({ event: "tasks.warning", warning });
  const server = await startTasks({
    ...config.listen,
    ...config.store,
    publicUrl: config.gateway.publicUrl,
    verifier: createAssertionVerifier({
      issuer: config.gateway.publicUrl,
      audience: config.gateway.audience,
      jwksUrl: config.gateway.jwksUrl,
      clock: systemClock,
    }),
    clock: systemClock,
    random: systemRandom,
    logger,
  });
  stopOnSignal(process, server.stages, { clock: systemClock, logger });
  // Written whatever the log level: who started this process waits for it.
  process.stdout.write(
    `${JSON.stringify({ service: "tasks", event: "tasks.listening", url: server.url })}\n`,
  );
  process.send?.({ type: "ready", url: server.url });
}
