import type { LogDestination } from "../record/log-destination.ts";
import type { Bus } from "./bus.ts";

/** Longer than the main thread may take for one chunk; then its lines are counted as lost. */
const CHUNK_DEADLINE_MS = 10_000;

/**
 * Log lines of a worker go to the main thread, which alone writes: lines of two threads never mix. The next
 * chunk waits until this one is out, so a slow destination fills the worker's own bounded buffer and no other.
 */
export function busLogDestination(bus: Bus): LogDestination {
  return {
    write(chunk, done) {
      // Copied: the sink uses the buffer again, and a message is read later.
      bus.ask("log", Uint8Array.from(chunk), CHUNK_DEADLINE_MS).then(
        () => done(undefined),
        (error: unknown) => done(error instanceof Error ? error : new Error(String(error))),
      );
    },
    close() {},
  };
}
