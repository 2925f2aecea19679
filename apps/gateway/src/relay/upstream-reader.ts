import type { OnReadOpts } from "node:net";

/** What the platform reads from a connection at once, at most. */
const READ_BYTES = 65_536;

/**
 * One read buffer for all upstream connections of this thread: a read and its callback are one synchronous step, and
 * no view of it leaves that step. The platform would otherwise allocate 64 KiB for every read, however little came:
 * a tenth of what it costs to relay a message.
 */
const readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);

/** Reads an upstream connection. It is given to `Upstream.connect`, and takes the place of `data` events. */
export class UpstreamReader {
  #take: ((chunk: Buffer) => void) | undefined;
  /** What came before anybody asked: an upstream that speaks first, at most one read. */
  #early: Buffer | undefined;

  readonly options: OnReadOpts = {
    buffer: readBuffer,
    callback: (byteCount) => this.#received(byteCount),
  };

  /** Whoever takes the chunks from now on. They are the taker's own, memory and all. */
  readTo(take: (chunk: Buffer) => void): void {
    this.#take = take;
    const early = this.#early;
    this.#early = undefined;
    if (early !== undefined) take(early);
  }

  /** @returns false to stop reading, as `pause` does */
  #received(byteCount: number): boolean {
    const chunk = Buffer.from(readBuffer.subarray(0, byteCount));
    if (this.#take === undefined) {
      this.#early = chunk;
      return false;
    }
    this.#take(chunk);
    return true;
  }
}
