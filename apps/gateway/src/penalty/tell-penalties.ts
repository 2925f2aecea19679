import type { Clock } from "@tidegate/clock";
import type { Tell } from "../worker/data-threads.ts";

/** Told to all threads with a data plane when somebody was boxed; who it is stands in the table. */
export const PENALTIES_CHANGED = "penalties-changed";

/** A thread that does not acknowledge within this time would leave open what must be closed: it is ended. */
const ACKNOWLEDGE_MS = 5_000;
/**
 * A thread asks about everything that is open each time it is told, so that is not more often than this: a flood from many
 * addresses boxes hundreds of them per second.
 */
const PAUSE_MS = 50;

/**
 * Tells the threads that somebody was boxed: the first at once, those that follow together.
 * @returns what is called after each change, any number of times
 */
export function penaltyTeller(tell: Tell, clock: Clock): () => void {
  let isBusy = false;
  let isOwed = false;
  const changed = (): void => {
    isOwed = true;
    if (isBusy) return;
    isOwed = false;
    isBusy = true;
    void tell(PENALTIES_CHANGED, undefined, ACKNOWLEDGE_MS).finally(() =>
      clock.after(PAUSE_MS, () => {
        isBusy = false;
        if (isOwed) changed();
      }),
    );
  };
  return changed;
}
