import { closeSync, constants, fstatSync, openSync, write as writeToFile } from "node:fs";
import { Socket } from "node:net";

/** Where log lines go in the end. One chunk at a time; neither method ever throws or blocks the thread. */
export interface LogDestination {
  /** Takes a whole chunk; `done` is called once, with an error when the chunk or its rest is lost. */
  write(chunk: Buffer, done: (error: Error | undefined) => void): void;
  /** Lets go at once; what was not taken is lost. */
  close(): void;
}

const STANDARD_OUTPUT = 1;

/**
 * Opens what the configuration names: `stdout`, or a file that is appended to and made with mode 0600.
 * @throws {Error} when the file cannot be opened; this is the start of the process, so it should stop
 */
export function openLogDestination(name: string): LogDestination {
  if (name !== "stdout") return threadedDestination(openSync(name, "a", 0o600), true);
  return openDescriptor(STANDARD_OUTPUT);
}

/**
 * A descriptor that somebody else opened. Pipes and sockets are written by the event loop, without waiting in any
 * thread: a thread that waits in a pipe nobody reads can never be joined, and the process could not end.
 */
export function openDescriptor(descriptor: number): LogDestination {
  const kind = fstatSync(descriptor);
  if (kind.isFIFO()) return streamDestination(reopenedForUs(descriptor));
  if (kind.isSocket()) return streamDestination(descriptor);
  return threadedDestination(descriptor, false);
}

/**
 * Not waiting is a property of the open pipe, which other processes may share; so we open it once more for ourselves.
 * Where that is not allowed (another user's pipe, no /proc), the shared one has to do.
 */
function reopenedForUs(descriptor: number): number {
  try {
    return openSync(`/proc/self/fd/${descriptor}`, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    return descriptor;
  }
}

function streamDestination(descriptor: number): LogDestination {
  const socket = new Socket({ fd: descriptor, readable: false, writable: true });
  // An open log must not keep the process alive; a write that is under way does, and should.
  socket.unref();
  // The write's own callback reports it (the reader went away); without a listener it would end the process.
  socket.on("error", () => undefined);
  return {
    write(chunk, done) {
      if (socket.destroyed) {
        queueMicrotask(() => done(new Error("Cannot write log lines: the reader went away")));
        return;
      }
      socket.write(chunk, (error) => done(error ?? undefined));
    },
    close: () => void socket.destroy(),
  };
}

/** Files and terminals: their writes wait for the device at most, never for a reader. */
function threadedDestination(descriptor: number, ownsDescriptor: boolean): LogDestination {
  let isClosed = false;
  let isWriting = false;
  const release = (): void => {
    if (ownsDescriptor && isClosed && !isWriting) closeSync(descriptor);
  };
  const writeRest = (
    chunk: Buffer,
    offset: number,
    done: (error: Error | undefined) => void,
  ): void => {
    isWriting = true;
    writeToFile(descriptor, chunk, offset, chunk.length - offset, null, (error, written) => {
      isWriting = false;
      if (isClosed) release();
      else if (error !== null) done(error);
      else if (offset + written < chunk.length) writeRest(chunk, offset + written, done);
      else done(undefined);
    });
  };
  return {
    write: (chunk, done) => writeRest(chunk, 0, done),
    close() {
      if (isClosed) return;
      isClosed = true;
      release();
    },
  };
}
