import assert from "node:assert/strict";

/**
 * The handles of one thread. A row holds the caller's hashed identity, the limit, and where its record was last
 * seen; the record is checked against the identity at every use, so the table of records may reclaim freely and
 * a thread that ends leaves nothing pinned.
 *
 * A handle is row number (24 bits) and generation (7 bits) of the row; the generation is there to catch use after release.
 */
export class HandleTable {
  /** Four elements a row: identity (2), limit | generation << 16, first word of the record or 0. Read and written by the limiter. */
  readonly rows: Int32Array;
  #used = 0;
  #free = -1;
  #inUse = 0;
  #shortages = 0;
  readonly #maxHandles: number;

  /** Rows are reserved for all and committed as they come into use; when all are taken, `take` returns -1 and the caller is refused. */
  constructor(maxHandles: number) {
    assert(maxHandles >= 1 && maxHandles <= 2 ** 24, "maxHandles must be 1 to 16777216");
    this.#maxHandles = maxHandles;
    // Shared only because such memory is committed lazily without being counted against the heap.
    this.rows = new Int32Array(new SharedArrayBuffer(16 * maxHandles));
  }

  take(limitIndex: number, h0: number, h1: number): number {
    let row = this.#free;
    if (row >= 0) {
      this.#free = this.rows[4 * row + RECORD]!;
    } else if (this.#used < this.#maxHandles) {
      row = this.#used++;
    } else {
      this.#shortages++;
      return -1;
    }
    const at = 4 * row;
    const generation = (this.rows[at + LIMIT]! >>> 16) & 0x7f;
    this.rows[at] = h0;
    this.rows[at + 1] = h1;
    this.rows[at + LIMIT] = limitIndex | (generation << 16) | TAKEN;
    this.rows[at + RECORD] = 0;
    this.#inUse++;
    return row | (generation << 24);
  }

  release(handle: number): void {
    const at = this.at(handle);
    const generation = ((handle >>> 24) + 1) & 0x7f;
    this.rows[at + LIMIT] = generation << 16;
    this.rows[at + RECORD] = this.#free;
    this.#free = at >>> 2;
    this.#inUse--;
  }

  /** First element of the row of a handle that is in use. */
  at(handle: number): number {
    const at = 4 * (handle & 0xffffff);
    if (this.rows[at + LIMIT]! >>> 16 !== ((handle >>> 24) | (TAKEN >>> 16))) {
      assert.fail(`Limit handle ${handle} was used after its release`);
    }
    return at;
  }

  get inUse(): number {
    return this.#inUse;
  }

  get shortages(): number {
    return this.#shortages;
  }
}

export const LIMIT = 2;
export const RECORD = 3;
const TAKEN = 1 << 30;
