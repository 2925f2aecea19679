import type { Socket } from "node:net";
import { MAX_SPANNING_BYTES } from "@tidegate/wire";

/**
 * Chunks up to here are gathered in memory that is used again. Above it a chunk gets memory of its own, whose price no
 * longer shows beside that of moving so many bytes.
 */
const SLAB_BYTES = 16_384;

/**
 * Where what leaves a thread is put together: what was admitted of one chunk, behind the header that began in the chunk
 * before it, leaves in one write. The kernel nearly always takes it at once, and then the memory serves the next chunk:
 * nothing but a view is allocated. What it does not take at once keeps its memory until it has left, so a slow reader
 * holds one slab more than the bytes that wait for it.
 */
export class Outbox {
  #slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
  /** Bytes of the header that lie at the slab's start. At most `MAX_SPANNING_BYTES`. */
  #spanningBytes = 0;

  /** Keeps the start of a frame that an earlier chunk brought, until `send`. */
  span(bytes: Buffer, from: number, to: number): void {
    bytes.copy(this.#slab, this.#spanningBytes, from, to);
    this.#spanningBytes += to - from;
  }

  /** Writes what was kept and `[from, to)` of `bytes`, which are the caller's again when it returns. */
  send(sink: Socket, bytes: Buffer, from: number, to: number): void {
    const spanningBytes = this.#spanningBytes;
    const byteCount = spanningBytes + to - from;
    this.#spanningBytes = 0;
    if (byteCount === 0) return;
    // Behind bytes that wait it will wait too: it would take the slab with it.
    if (byteCount > SLAB_BYTES || sink.writableLength > 0) {
      const own = Buffer.allocUnsafeSlow(byteCount);
      this.#slab.copy(own, 0, 0, spanningBytes);
      bytes.copy(own, spanningBytes, from, to);
      sink.write(own);
      return;
    }
    const slab = this.#slab;
    bytes.copy(slab, spanningBytes, from, to);
    sink.write(slab.subarray(0, byteCount));
    if (sink.writableLength > 0) this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
  }
}

/** One for all sockets of this thread: what is put into it leaves in the same synchronous step. */
export const outbox = new Outbox();

if (MAX_SPANNING_BYTES > SLAB_BYTES) throw new Error("Cannot hold a header in the slab");
