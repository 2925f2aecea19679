import { systemClock } from "@tidegate/clock";

// One Ctrl-C arrives twice: from the terminal, and once more from npm, which passes it on.
const SAME_PRESS_MS = 1_000;

/** What a person, a supervisor or the terminal wants of the launcher. */
export interface StopSignal {
  /** Kept when the launcher is asked to stop. */
  readonly asked: Promise<void>;
  readonly isAsked: boolean;
  /** Calls `listener` each time somebody asks again, later than one press of the keys: somebody is in a hurry. */
  onHaste(listener: () => void): void;
}

/** Listens from now on, so that nothing is ended by a signal's default action half-way through the start. */
export function listenForStop(): StopSignal {
  const { promise: asked, resolve } = Promise.withResolvers<void>();
  let askedAtMs = Number.POSITIVE_INFINITY;
  let haste = (): void => undefined;
  const onSignal = (): void => {
    const nowMs = systemClock.monotonicMs();
    if (nowMs - askedAtMs >= SAME_PRESS_MS) haste();
    askedAtMs = Math.min(askedAtMs, nowMs);
    resolve();
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, onSignal);
  return {
    asked,
    get isAsked() {
      return askedAtMs < Number.POSITIVE_INFINITY;
    },
    onHaste: (listener) => void (haste = listener),
  };
}
