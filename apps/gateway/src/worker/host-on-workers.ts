import type { PasswordVerifier } from "@tidegate/auth";
import { passwordIssuersOf, passwordsOnThisThread } from "../identify/open-passwords.ts";
import { FORGET_REVOKED_PASSWORDS, forgetPasswordsOf } from "../identify/revoked-passwords.ts";
import type { DataPlaneHost } from "./data-plane-host.ts";
import { FORGET_PASSWORDS, PASSWORD, passwordAnswer } from "./remote-passwords.ts";
import { Supervisor, type SupervisorOptions } from "./supervisor.ts";

/** How long workers may take to forget what they remembered of a users file that changed. */
const FORGET_DEADLINE_MS = 1_000;

/** How long a scrape waits for what is new; a worker that is late is counted as it was last known. */
const METRICS_DEADLINE_MS = 1_000;

/** Serves on worker threads that share one port; passwords are checked here, for all of them. */
export async function hostOnWorkers(
  options: Omit<SupervisorOptions, "passwordIssuers">,
): Promise<DataPlaneHost> {
  const { config, dataThreads } = options;
  await using parts = new AsyncDisposableStack();
  const passwords = new Map<string, PasswordVerifier>();
  const open = passwordsOnThisThread({
    ...options,
    onChange: () => void dataThreads.tell(FORGET_PASSWORDS, undefined, FORGET_DEADLINE_MS),
  });
  for (const [name, issuer] of passwordIssuersOf(config)) {
    const verifier = await open(name, issuer);
    parts.defer(() => verifier[Symbol.dispose]?.());
    passwords.set(name, verifier);
  }
  // The main thread first, so that no worker remembers anew what this one had not forgotten yet.
  dataThreads
    .join()
    .whenTold(FORGET_REVOKED_PASSWORDS, (issuers) =>
      forgetPasswordsOf(passwords.values(), issuers as readonly string[]),
    );
  dataThreads.answer(PASSWORD, passwordAnswer(passwords));
  const passwordIssuers = Object.fromEntries(
    [...passwords].map(([name, { issuer }]) => [name, issuer]),
  );
  const supervisor = parts.use(new Supervisor({ ...options, passwordIssuers }));
  await supervisor.start();
  const owned = parts.move();
  return {
    port: options.port,
    readiness: () => supervisor.readiness(),
    async blocks() {
      await supervisor.tell("tell-metrics", undefined, METRICS_DEADLINE_MS);
      return supervisor.blocks;
    },
    get droppedLines() {
      return supervisor.droppedLines;
    },
    limits: supervisor.limits,
    get requestsInFlight() {
      return supervisor.requestsInFlight;
    },
    get connections() {
      return supervisor.connections;
    },
    drain: (deadlineMs) => supervisor.drain(deadlineMs),
    stop: () => supervisor.stop(),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
