import type { Clock, Timer } from "@tidegate/clock";
import type { LogDestination } from "./log-destination.ts";

/**
 * Holds log lines until the destination takes them. It never waits, never throws and never grows past its bound:
 * a line that finds it full is dropped and counted. One chunk at a time is with the destination.
 */
export interface LineSink {
  /** @param line a whole line with its line end */
  write(line: string): void;
  /** Lines that were lost so far: the buffer was full, the destination failed, or the sink was closed. */
  readonly droppedLines: number;
  /** Bytes that wait, those with the destination included. */
  readonly bufferedBytes: number;
  /**
   * Resolves when everything written so far is out, or after `deadlineMs`, or when the destination is broken.
   * @returns how many lines were still waiting then
   */
  flush(deadlineMs: number): Promise<number>;
  /** Flushes within the deadline, then lets go of the destination; what is written afterwards is dropped. */
  close(deadlineMs: number): Promise<number>;
}

// A line waits about this long at most, or as long as the destination takes for what came before, so that one system
// call carries many lines of a busy gateway and a person who watches an idle one notices no delay.
const GATHER_MS = 20;
// What one write hands over: as much as a Linux pipe holds. Each write to a file wakes another thread, so few large
// ones are cheaper: 0.14 µs of CPU a line at 64 KiB, 0.32 µs at 16 KiB.
const CHUNK_BYTES = 65_536;
// No character of a JavaScript string takes more bytes in UTF-8, per UTF-16 unit.
const MOST_BYTES_PER_UNIT = 3;

/** Lines in their bytes, written once and handed over as they are. */
interface Chunk {
  readonly buffer: Buffer;
  bytes: number;
  lines: number;
}

/** @param options.maxBufferedBytes the bound; the oldest lines win, because they say how the trouble began */
export function createLineSink(options: {
  readonly destination: LogDestination;
  readonly maxBufferedBytes: number;
  readonly clock: Clock;
}): LineSink {
  const { destination, maxBufferedBytes, clock } = options;
  // At most maxBufferedBytes in all, the chunk that is being written included.
  const waiting: Chunk[] = [];
  let writing: Chunk | undefined;
  // The last chunk that went out, for the next one to use again.
  let spare: Buffer | undefined;
  let bufferedBytes = 0;
  let droppedLines = 0;
  let isClosed = false;
  let gathering: Timer | undefined;
  // One entry per flush() that waits; flushes are asked for at shutdown only.
  let idleListeners: (() => void)[] = [];

  const handOver = (): void => {
    gathering?.cancel();
    gathering = undefined;
    if (writing !== undefined) return;
    writing = waiting.shift();
    if (writing === undefined) {
      const listeners = idleListeners;
      idleListeners = [];
      for (const listener of listeners) listener();
      return;
    }
    if (waiting.length > 0) gathering = clock.after(GATHER_MS, handOver);
    destination.write(writing.buffer.subarray(0, writing.bytes), handedOver);
  };

  const handedOver = (error: Error | undefined): void => {
    const chunk = writing;
    // Closed meanwhile: the chunk was counted as lost.
    if (chunk === undefined) return;
    writing = undefined;
    bufferedBytes -= chunk.bytes;
    if (chunk.buffer.length === CHUNK_BYTES) spare = chunk.buffer;
    if (error !== undefined) droppedLines += chunk.lines;
    // Not whatever is there: a busy gateway would then write a few lines with every turn of its event loop.
    const isDue = gathering === undefined || idleListeners.length > 0;
    if (isDue || waiting.length > 1) handOver();
  };

  /** The chunk that has room for so many bytes. Lines are far shorter than a chunk; one that is not gets its own. */
  const chunkFor = (bytes: number): Chunk => {
    const last = waiting.at(-1);
    if (last !== undefined && last.buffer.length - last.bytes >= bytes) return last;
    let buffer = spare;
    if (buffer === undefined || bytes > CHUNK_BYTES) {
      buffer = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, bytes));
    } else {
      spare = undefined;
    }
    const chunk = { buffer, bytes: 0, lines: 0 };
    waiting.push(chunk);
    return chunk;
  };

  const flush = async (deadlineMs: number): Promise<number> => {
    handOver();
    if (writing === undefined) return 0;
    await new Promise<void>((resolve) => {
      const deadline = clock.after(deadlineMs, resolve);
      idleListeners.push(() => {
        deadline.cancel();
        resolve();
      });
    });
    return waiting.reduce((sum, chunk) => sum + chunk.lines, writing?.lines ?? 0);
  };

  return {
    write(line) {
      // A first look that needs no chunk: while nobody reads, dropping must cost nothing.
      if (isClosed || bufferedBytes + line.length > maxBufferedBytes) {
        droppedLines += 1;
        return;
      }
      const chunk = chunkFor(line.length * MOST_BYTES_PER_UNIT);
      const bytes = chunk.buffer.write(line, chunk.bytes);
      if (bufferedBytes + bytes > maxBufferedBytes) {
        // What was written stays outside the chunk's length; the next line overwrites it.
        droppedLines += 1;
        return;
      }
      chunk.bytes += bytes;
      chunk.lines += 1;
      bufferedBytes += bytes;
      if (waiting.length > 1 && writing === undefined) handOver();
      else gathering ??= clock.after(GATHER_MS, handOver);
    },
    get droppedLines() {
      return droppedLines;
    },
    get bufferedBytes() {
      return bufferedBytes;
    },
    flush,
    async close(deadlineMs) {
      const left = await flush(deadlineMs);
      isClosed = true;
      gathering?.cancel();
      droppedLines += left;
      waiting.length = 0;
      writing = undefined;
      bufferedBytes = 0;
      destination.close();
      return left;
    },
  };
}
