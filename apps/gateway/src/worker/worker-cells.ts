/**
 * What every worker shows of itself to the others and to the supervisor: one row of numbers per worker in shared
 * memory. Only the worker writes its row; the supervisor clears it when the worker is dead.
 */
export class WorkerCells {
  readonly buffer: SharedArrayBuffer;
  readonly #cells: Int32Array;
  readonly #workers: number;

  /** @param buffer from `createWorkerCells` */
  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.#cells = new Int32Array(buffer);
    this.#workers = this.#cells.length / CELLS;
  }

  get(worker: number, cell: Cell): number {
    return Atomics.load(this.#cells, worker * CELLS + cell);
  }

  add(worker: number, cell: Cell, by: number): void {
    Atomics.add(this.#cells, worker * CELLS + cell, by);
  }

  set(worker: number, cell: Cell, value: number): void {
    Atomics.store(this.#cells, worker * CELLS + cell, value);
  }

  /** Over all workers: a cap of the process is a cap on this. */
  sum(cell: Cell): number {
    let sum = 0;
    for (let worker = 0; worker < this.#workers; worker++) sum += this.get(worker, cell);
    return sum;
  }

  /** The worker is dead: it holds no connection any more. */
  clear(worker: number): void {
    for (let cell = 0; cell < CELLS; cell++)
      if (cell !== CELL.droppedLines) this.set(worker, cell as Cell, 0);
  }
}

export const CELL = {
  /** Rises as long as the worker's event loop turns. */
  heartbeat: 0,
  connections: 1,
  /** Requests and handshakes being served. */
  inFlight: 2,
  /** Log lines lost; stays when the worker dies, because counters never go back. */
  droppedLines: 3,
  /** Sockets accepted for callers who were not let in. */
  unauthenticatedSockets: 4,
} as const;
export type Cell = (typeof CELL)[keyof typeof CELL];

const CELLS = 5;

/** @param workers how many rows */
export function createWorkerCells(workers: number): WorkerCells {
  return new WorkerCells(new SharedArrayBuffer(workers * CELLS * Int32Array.BYTES_PER_ELEMENT));
}
