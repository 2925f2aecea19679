// Keeps one process of the demo running: starts it, starts it again when it crashes, stops it.

import { spawn, type ChildProcess } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "@tidegate/clock";
import type { LogFile } from "./log-file.ts";

export interface ServicePlan {
  readonly name: string;
  /** Arguments of this Node. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Answers 200 when the service can do its work. */
  readonly readyUrl: string;
  /** Stops before those that started before it. */
  readonly stopsFirst?: boolean;
}

export interface Service {
  readonly name: string;
  /** Undefined while it is down. */
  pid(): number | undefined;
  /** Resolves when the first start is ready. @throws {Error} with the end of its log when it is not */
  readonly ready: Promise<void>;
  /** Resolves with the reason when it crashed so often that it is left down; never otherwise. */
  readonly givenUp: Promise<string>;
  /** Asks it to stop, kills it after the deadline, and resolves when it has ended. */
  stop(): Promise<void>;
  /** Kills it. */
  kill(): void;
}

// A crash is healed at once, one that repeats is not worth the machine's whole time.
const FIRST_BACKOFF_MS = 200;
const LONGEST_BACKOFF_MS = 5_000;
// More crashes than this without a quiet minute in between: what is wrong does not go away by itself.
const MAX_CRASHES = 6;
const QUIET_MS = 60_000;
const READY_DEADLINE_MS = 60_000;
// The gateway drains for up to 10 s; what is still there then is cut.
const STOP_DEADLINE_MS = 15_000;
const READY_POLL_MS = 50;

/** Starts the service and keeps it running until `stop`. `tell` gets a line for people about every crash and return. */
export function startService(
  plan: ServicePlan,
  options: { readonly log: LogFile; readonly clock: Clock; readonly tell: (line: string) => void },
): Service {
  const { log, clock, tell } = options;
  let child: ChildProcess | undefined;
  let isStopping = false;
  let crashes = 0;
  const { promise: givenUp, resolve: giveUp } = Promise.withResolvers<string>();
  const { promise: stopAsked, resolve: askToStop } = Promise.withResolvers<void>();

  /** One life of the process: resolves with how it ended. `onReady` is called at most once. */
  const live = async (onReady: () => void): Promise<string> => {
    log.note(`--- ${plan.name} starts ---`);
    const running = spawn(process.execPath, plan.args, {
      env: plan.env,
      // The channel is how the service notices that the launcher is gone, however it went.
      stdio: ["ignore", log.descriptor, log.descriptor, "ipc"],
      // A group of its own: Ctrl-C in the terminal reaches the launcher, which stops everything in order.
      detached: true,
    });
    child = running;
    const ended = new Promise<string>((resolve) => {
      running.once("error", (error) => resolve(error.message));
      running.once("exit", (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
    const watch = new AbortController();
    void announceReady(plan.readyUrl, { onReady, signal: watch.signal });
    const how = await ended;
    watch.abort();
    child = undefined;
    return how;
  };

  const {
    promise: ready,
    resolve: resolveReady,
    reject: rejectReady,
  } = Promise.withResolvers<void>();
  const keepRunning = async (): Promise<void> => {
    let hasBeenReady = false;
    const late = clock.after(READY_DEADLINE_MS, () => {
      tell(`${plan.name} is not ready after ${READY_DEADLINE_MS / 1_000} s`);
      child?.kill("SIGKILL");
    });
    for (;;) {
      const startedAtMs = clock.monotonicMs();
      const how = await live(() => {
        late.cancel();
        if (hasBeenReady) tell(`${plan.name} is back`);
        hasBeenReady = true;
        resolveReady();
      });
      if (isStopping) return;
      if (!hasBeenReady) {
        late.cancel();
        rejectReady(
          new Error(
            `Cannot start: ${plan.name} ended (${how}). The end of ${log.path}:\n${log.tail(20)}`,
          ),
        );
        return;
      }
      if (clock.monotonicMs() - startedAtMs > QUIET_MS) crashes = 0;
      crashes += 1;
      if (crashes > MAX_CRASHES) {
        giveUp(
          `${plan.name} crashed ${crashes} times in a row (last: ${how}). Its log: ${log.path}`,
        );
        return;
      }
      const waitMs = Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** (crashes - 1));
      tell(`${plan.name} ended (${how}); starting it again in ${waitMs} ms. Its log: ${log.path}`);
      await Promise.race([sleep(waitMs), stopAsked]);
      if (isStopping) return;
    }
  };
  // A failed spawn reaches `ready` through `live`; anything else here is a bug of ours and ends the launcher.
  const finished = keepRunning();

  return {
    name: plan.name,
    pid: () => child?.pid,
    ready,
    givenUp,
    async stop() {
      isStopping = true;
      askToStop();
      child?.kill("SIGTERM");
      const late = clock.after(STOP_DEADLINE_MS, () => {
        tell(`${plan.name} did not stop within ${STOP_DEADLINE_MS / 1_000} s and is killed`);
        child?.kill("SIGKILL");
      });
      await finished;
      late.cancel();
    },
    kill() {
      isStopping = true;
      askToStop();
      child?.kill("SIGKILL");
    },
  };
}

/** Asks until the service answers 200 and says so once, or until the signal. Never fails. */
async function announceReady(
  url: string,
  options: { readonly onReady: () => void; readonly signal: AbortSignal },
): Promise<void> {
  const { onReady, signal } = options;
  while (!signal.aborted) {
    if (await isReady(url, signal)) {
      onReady();
      return;
    }
    await sleep(READY_POLL_MS);
  }
}

async function isReady(url: string, signal: AbortSignal): Promise<boolean> {
  try {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(2_000)]);
    const answer = await fetch(url, { signal: limit });
    await answer.body?.cancel();
    return answer.status === 200;
  } catch {
    // Nobody listens yet, or the service has ended meanwhile.
    return false;
  }
}
