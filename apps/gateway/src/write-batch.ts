/** Something that has gathered bytes for the kernel. */
export interface BatchedWriter {
  /** Hands over what was gathered, if it still can. Must not throw. */
  flushBatch(): void;
}

/**
 * Flushes the writer when the event loop has worked off everything that the kernel had ready for it: before it looks
 * for more, so nothing waits for a later event. Writes that are made one right after the other meet a receiver that is
 * awake; spread over the work between them, each would have to wake it anew, which costs as much as the work itself
 * (`decisions/009-accept-path.md` has the figures).
 *
 * One batch per thread, because there is one event loop per thread. It is bounded by the connections that are open:
 * each has at most one entry at a time.
 */
export function flushSoon(writer: BatchedWriter): void {
  if (waiting.length === 0) setImmediate(flushAll);
  waiting.push(writer);
}

let waiting: BatchedWriter[] = [];
/** The list that was flushed last, empty, to be filled again. */
let spare: BatchedWriter[] = [];

function flushAll(): void {
  const flushing = waiting;
  waiting = spare;
  for (const writer of flushing) writer.flushBatch();
  flushing.length = 0;
  spare = flushing;
}
