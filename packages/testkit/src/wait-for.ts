import { setTimeout as sleep } from "node:timers/promises";

/** What `waitFor` gives back: the condition's value without the ways of saying "not yet". */
type Met<T> = Exclude<T, false | null | undefined | 0 | "">;

/**
 * Asks `condition` again and again until it answers something truthy, and returns that.
 * A condition that throws counts as "not yet", so assertions may be used as conditions; the last error becomes the cause.
 * @param options.what completes the sentence "Waited 5000 ms for …"
 * @param options.deadlineMs 5 seconds when left out: far above what a loaded machine needs, far below a test's own limit
 * @throws {Error} when the deadline passes first
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  options: { readonly what: string; readonly deadlineMs?: number; readonly everyMs?: number },
): Promise<Met<T>> {
  const { what, deadlineMs = 5_000, everyMs = 5 } = options;
  const endsAt = performance.now() + deadlineMs;
  let cause: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (isMet(value)) return value;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (performance.now() >= endsAt) {
      throw new Error(`Waited ${deadlineMs} ms for ${what}`, { cause });
    }
    await sleep(everyMs);
  }
}

function isMet<T>(value: T): value is Met<T> {
  return Boolean(value);
}
