import type { Clock, Timer } from "@tidegate/clock";
import type { MainThread } from "../worker/data-threads.ts";

/** Notes which API keys are used; on the way of every call with one, so it only writes into a map. */
export interface KeyUse extends Disposable {
  /** @param issuer under `identity` @param id the key's */
  used(issuer: string, id: string): void;
}

/** When keys were last used, wall milliseconds, by issuer and id; sent to the main thread. */
export type KeyUses = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** A worker's side: tells the main thread every few seconds what is new. */
export function noteKeyUse(main: MainThread, clock: Clock): KeyUse {
  /** By issuer, by id. As many entries as the files have keys; emptied when it is told. */
  let fresh = new Map<string, Map<string, number>>();
  let timer: Timer | undefined;

  const tell = (): void => {
    timer = undefined;
    const uses: KeyUses = Object.fromEntries(
      [...fresh].map(([issuer, ids]) => [issuer, Object.fromEntries(ids)]),
    );
    fresh = new Map();
    // The main thread that does not answer is gone, and this thread with it.
    main.ask(KEYS_USED, uses, TELL_DEADLINE_MS).catch(() => undefined);
  };

  return {
    used(issuer, id) {
      let ids = fresh.get(issuer);
      if (ids === undefined) fresh.set(issuer, (ids = new Map()));
      ids.set(id, clock.wallMs());
      timer ??= clock.after(TELL_EVERY_MS, tell);
    },
    [Symbol.dispose]() {
      if (timer === undefined) return;
      timer.cancel();
      tell();
    },
  };
}

/** The kind of message. */
export const KEYS_USED = "keys-used";
const TELL_EVERY_MS = 2_000;
const TELL_DEADLINE_MS = 5_000;
