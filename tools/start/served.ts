import { setTimeout as sleep } from "node:timers/promises";

const POLL_MS = 100;

/**
 * Resolves when a person gets an answer through the gateway: each process may be ready for itself while they cannot yet
 * talk to each other.
 * @param options.signal gives up at once, when the demo stops meanwhile
 * @throws {Error} with the last answer when that takes longer than `deadlineMs`
 */
export async function untilServed(
  url: string,
  options: {
    readonly user: string;
    readonly password: string;
    readonly deadlineMs: number;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { user, password, deadlineMs, signal } = options;
  const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
  const endsAt = performance.now() + deadlineMs;
  let last = "no answer";
  for (;;) {
    try {
      const answer = await fetch(url, {
        headers: { authorization },
        signal: AbortSignal.any([signal, AbortSignal.timeout(5_000)]),
      });
      last = `${answer.status} ${await answer.text()}`;
      if (answer.status === 200) return;
    } catch (error) {
      last = error instanceof Error ? error.message : String(error);
    }
    signal.throwIfAborted();
    if (performance.now() >= endsAt) {
      throw new Error(
        `Cannot start: ${url} does not answer within ${deadlineMs / 1_000} s: ${last}`,
      );
    }
    await sleep(POLL_MS);
  }
}
