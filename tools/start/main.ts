// What `npm start` runs: everything on one machine, with nothing to prepare.

import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock, systemRandom } from "@tidegate/clock";
import { banner } from "./banner.ts";
import { readStartConfig } from "./config.ts";
import { lockDataFolder } from "./data-lock.ts";
import { provideDemoClients, provideDemoPeople } from "./demo-identity.ts";
import { demoServices, identityFolder } from "./demo-services.ts";
import { provideDemoUsers } from "./demo-users.ts";
import { openLogFile, type LogFile } from "./log-file.ts";
import { reservePorts } from "./ports.ts";
import { makePrivateFolder } from "./private-file.ts";
import { untilServed } from "./served.ts";
import { startService, type Service, type ServicePlan } from "./service.ts";
import { listenForStop, type StopSignal } from "./stop-signal.ts";

const tell = (line: string): void => console.log(`tidegate: ${line}`);

try {
  await start(listenForStop());
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

async function start(stop: StopSignal): Promise<void> {
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
  const random = systemRandom;
  const { users, areNew } = provideDemoUsers(dataFolder, { random });
  const { clientsFile, clientSecret } = provideDemoClients(dataFolder, { ports, random });

  const logFolder = join(dataFolder, "logs");
  mkdirSync(logFolder, { recursive: true, mode: 0o700 });
  mkdirSync(join(dataFolder, "gateway"), { recursive: true, mode: 0o700 });
  using open = new DisposableStack();
  const path = process.env["PATH"] ?? "";
  const plans = demoServices({ ports, dataFolder, clientsFile, clientSecret, path });
  const logs: Record<string, LogFile> = {};
  for (const { name } of plans) logs[name] = open.use(openLogFile(join(logFolder, `${name}.log`)));
  const sizeWatch = setInterval(() => Object.values(logs).forEach((log) => log.keepSmall()), 5_000);
  open.defer(() => clearInterval(sizeWatch));

  const reason = await runUntilStopped(plans, {
    stop,
    logOf: (name) => logs[name],
    async onReady(signal) {
      const tokenFile = join(identityFolder(dataFolder), "admin-token");
      await provideDemoPeople(`http://127.0.0.1:${ports.identityAdmin}`, {
        token: readFileSync(tokenFile, "utf8").trim(),
        users,
        areUsersNew: areNew,
        signal,
      });
      // One of the people themselves, over the whole road: then what the banner promises holds.
      const url = `http://127.0.0.1:${ports.gateway}/tasks?limit=1`;
      await untilServed(url, { user: "ada", password: users.ada, deadlineMs: 30_000, signal });
      console.log(banner({ ports, users, dataFolder }));
      console.log("Tidegate is ready");
    },
  });
  if (reason !== undefined) {
    process.exitCode = 1;
    console.error(reason);
  }
}

/**
 * Starts the services one after the other. Resolves after everything has stopped: with undefined when a person asked for
 * it, else with what went wrong.
 */
async function runUntilStopped(
  plans: readonly ServicePlan[],
  options: {
    readonly stop: StopSignal;
    readonly logOf: (name: string) => LogFile | undefined;
    readonly onReady: (signal: AbortSignal) => Promise<void>;
  },
): Promise<string | undefined> {
  const services: Service[] = [];
  const { promise: ending, resolve: end } = Promise.withResolvers<string | undefined>();
  const starting = new AbortController();
  const { stop } = options;
  let isEnding = stop.isAsked;
  stop.onHaste(() => {
    tell("stopping at once");
    for (const service of services) service.kill();
  });
  void stop.asked.then(() => {
    isEnding = true;
    end(undefined);
  });

  const startAll = async (): Promise<void> => {
    try {
      for (const plan of plans) {
        const log = options.logOf(plan.name);
        if (log === undefined) throw new Error(`Cannot start ${plan.name}: it has no log`);
        if (isEnding) return;
        const service = startService(plan, { log, clock: systemClock, tell });
        if (plan.stopsFirst === true) services.unshift(service);
        else services.push(service);
        void service.givenUp.then(end);
        await service.ready;
      }
      await options.onReady(starting.signal);
    } catch (error) {
      end(error instanceof Error ? error.message : String(error));
    }
  };
  void startAll();

  const reason = await ending;
  isEnding = true;
  starting.abort();
  if (reason === undefined) tell("stopping");
  // From the outside in: the gateway first, so that nothing is forwarded to what is gone.
  for (const service of services) await service.stop();
  if (reason === undefined) tell("stopped");
  return reason;
}
