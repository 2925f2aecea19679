import { text } from "node:stream/consumers";
import { systemClock, systemRandom } from "@tidegate/clock";
import { createLogger, stopOnSignal } from "@tidegate/service-kit";
import { runCommand } from "./cli.ts";
import { readAdminAccess, readConfig } from "./config.ts";
import { startIdentity } from "./server.ts";

await main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
  if (process.connected) process.disconnect?.();
});

async function main(words: readonly string[]): Promise<void> {
  if (words.length === 0) return serve();
  await runCommand(words, {
    access: readAdminAccess(process.env, { workingFolder: process.cwd() }),
    fetch,
    print: (line) => process.stdout.write(`${line}\n`),
    readStdin: () => text(process.stdin),
  });
}

async function serve(): Promise<void> {
  const config = readConfig(process.env, { workingFolder: process.cwd() });
  const logger = createLogger({ service: "identity", level: config.log.level });
  for (const warning of config.warnings) logger.warn({ event: "identity.warning", warning });
  const server = await startIdentity({
    ...config,
    ...config.listen,
    adminPort: config.admin.port,
    isRegistrationOpen: config.registration === "open",
    clock: systemClock,
    random: systemRandom,
    logger,
  });
  stopOnSignal(process, server.stages, { clock: systemClock, logger });
  // Written whatever the log level: who started this process waits for it.
  const { url, publicUrl, adminUrl } = server;
  process.stdout.write(
    `${JSON.stringify({ service: "identity", event: "identity.listening", url, publicUrl, adminUrl })}\n`,
  );
  process.send?.({ type: "ready", url });
}
