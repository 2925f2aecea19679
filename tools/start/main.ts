// What `npm start` runs: everything on one machine, with nothing to prepare.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { systemClock, systemRandom } from "@tidegate/clock";
import { banner } from "./banner.ts";
import { readStartConfig } from "./config.ts";
import { lockDataFolder } from "./data-lock.ts";
import { demoServices } from "./demo-services.ts";
import { provideDemoUsers } from "./demo-users.ts";
import { openLogFile } from "./log-file.ts";
import { reservePorts } from "./ports.ts";
import { makePrivateFolder } from "./private-file.ts";
import { startService, type Service } from "./service.ts";

const tell = (line: string): void => console.log(`tidegate: ${line}`);

try {
  await start();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

async function start(): Promise<void> {
  // npm runs a script in the root of the checkout; a relative folder means where the person is.
  const workingFolder = process.env["INIT_CWD"] ?? process.cwd();
  const { dataFolder, ...config } = readStartConfig(process.env, { workingFolder });
  makePrivateFolder(dataFolder);
  using lock = lockDataFolder(dataFolder);
  const ports = await reservePorts(
    { dataFolder, ...config },
    // What a killed launcher started drains first: up to 10 s.
    { patienceMs: lock.isTakenOver ? 15_000 : 0 },
  );
  const { users, usersFile } = await provideDemoUsers(dataFolder, { random: systemRandom });

  const logFolder = join(dataFolder, "logs");
  mkdirSync(logFolder, { recursive: true, mode: 0o700 });
  mkdirSync(join(dataFolder, "gateway"), { recursive: true, mode: 0o700 });
  using open = new DisposableStack();
  const plans = demoServices({ ports, dataFolder, usersFile, path: process.env["PATH"] ?? "" });
  const logs = plans.map(({ name }) => open.use(openLogFile(join(logFolder, `${name}.log`))));
  const services = plans.map((plan, index) => {
    const log = logs[index];
    if (log === undefined) throw new Error(`Cannot start ${plan.name}: it has no log`);
    return startService(plan, { log, clock: systemClock, tell });
  });
  const sizeWatch = setInterval(() => logs.forEach((log) => log.keepSmall()), 5_000);
  open.defer(() => clearInterval(sizeWatch));

  const reason = await runUntilStopped(services, () => {
    console.log(banner({ ports, users, dataFolder }));
    console.log("Tidegate is ready");
  });
  if (reason !== undefined) {
    process.exitCode = 1;
    console.error(reason);
  }
}

/** Resolves after everything has stopped: with undefined when a person asked for it, else with what went wrong. */
async function runUntilStopped(
  services: readonly Service[],
  onReady: () => void,
): Promise<string | undefined> {
  const { promise: asked, resolve: ask } = Promise.withResolvers<undefined>();
  let isAsked = false;
  const onSignal = (): void => {
    if (isAsked) {
      // The second Ctrl-C: somebody is in a hurry.
      tell("stopping at once");
      for (const service of services) service.kill();
      return;
    }
    isAsked = true;
    ask(undefined);
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, onSignal);

  const failure = Promise.race(services.map((service) => service.givenUp));
  const ready = Promise.all(services.map((service) => service.ready)).then(onReady);
  // `ready` alone never ends the wait, except by failing.
  const broken = ready.then(
    () => failure,
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
  const reason = await Promise.race([asked, failure, broken]);
  if (reason === undefined) tell("stopping");
  isAsked = true;
  // From the outside in: the gateway first, so that nothing is forwarded to what is gone.
  for (const service of services.toReversed()) await service.stop();
  if (reason === undefined) tell("stopped");
  return reason;
}
