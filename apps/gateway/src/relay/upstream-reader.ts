import type { OnReadOpts } from "node:net";
import { readBuffer, type TakeBytes } from "../accept/read-buffer.ts";

/** Reads an upstream connection. It is given to `Upstream.connect`, and takes the place of `data` events. */
export class UpstreamReader {
  #take: ((chunk: Buffer) => void) | undefined;
  /** Once set, nothing else is asked. */
  #relay: TakeBytes | undefined;
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

  /** Whoever takes the bytes from now on, in the thread's buffer. */
  relayTo(take: TakeBytes): void {
    this.#relay = take;
    const early = this.#early;
    this.#early = undefined;
    if (early !== undefined) take(early, early.length);
  }

  /** @returns false to stop reading, as `pause` does */
  #received(byteCount: number): boolean {
    if (this.#relay !== undefined) {
      this.#relay(readBuffer, byteCount);
      return true;
    }
    const chunk = Buffer.from(readBuffer.subarray(0, byteCount));
    if (this.#take === undefined) {
      this.#early = chunk;
      return false;
    }
    this.#take(chunk);
    return true;
  }
}
