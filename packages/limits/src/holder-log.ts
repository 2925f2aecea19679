import { KIND, type LimitPlan } from "./limit-plan.ts";

/**
 * What one thread holds of concurrency limits, written down in shared memory, so that its supervisor can give it back when the
 * thread is dead. Only its own thread writes, and the supervisor after the thread's end.
 *
 * An entry exists only while its units are surely held: it is written after they are taken, and cleared before they are given
 * back or moved. A thread that ends in between leaves units without an entry, which expire; never an entry without units, which would
 * free somebody else's.
 *
 * Per thread, in 32-bit elements: highest entry ever used + 1; then entries of six: units (0: free), limit, record, identity (2), epoch.
 */
export class HolderLog {
  readonly #i32: Int32Array;
  readonly #first: number;
  #free: number[] = [];
  #used = 0;

  /** Begins empty: what an earlier life of this thread's number left has no holder any more. */
  constructor({ i32, first }: HolderPlace) {
    this.#i32 = i32;
    this.#first = first;
    const used = Atomics.load(i32, first);
    for (let entry = 0; entry < used; entry++) Atomics.store(i32, entryAt(first, entry), 0);
    Atomics.store(i32, first, 0);
  }

  /** Writes down units just taken. @returns the entry, or -1 when all are in use: those units come free by expiry only */
  note(held: Held): number {
    const entry = this.#free.pop() ?? this.#used;
    if (entry >= HELD_PER_THREAD) return -1;
    const at = entryAt(this.#first, entry);
    if (entry === this.#used) Atomics.store(this.#i32, this.#first, ++this.#used);
    this.#i32[at + LIMIT] = held.limit;
    this.#i32[at + RECORD] = held.record;
    this.#i32[at + IDENTITY] = held.identity0;
    this.#i32[at + IDENTITY + 1] = held.identity1;
    this.#i32[at + EPOCH] = held.epoch;
    Atomics.store(this.#i32, at + UNITS, held.units);
    return entry;
  }

  /** The units of `entry` are about to be given back, or to move to another epoch. -1 is ignored. */
  clear(entry: number): void {
    if (entry < 0) return;
    Atomics.store(this.#i32, entryAt(this.#first, entry) + UNITS, 0);
    this.#free.push(entry);
  }
}

/** Units of one concurrency limit that one reservation holds. */
export interface Held {
  readonly units: number;
  readonly limit: number;
  readonly record: number;
  readonly identity0: number;
  readonly identity1: number;
  readonly epoch: number;
}

/** Where one thread's log lies. */
export interface HolderPlace {
  readonly i32: Int32Array;
  readonly first: number;
}

/**
 * Reservations written down per thread: more than a thread has connections. What is above comes free by expiry. 1.5 MB of address space
 * each; pages are committed as they are first written.
 */
export const HELD_PER_THREAD = 65_536;

/** 32-bit elements of one thread's log, a whole number of cache lines. */
export const HOLDER_LOG_ELEMENTS = 16 * Math.ceil((1 + 6 * HELD_PER_THREAD) / 16);

/** Whether any of the limits counts what is in flight. */
export function needsHolderLogs(plans: readonly Pick<LimitPlan, "kind">[]): boolean {
  return plans.some(({ kind }) => kind === KIND.concurrency);
}

/** All that an ended thread still held; its log is empty afterwards. */
export function* takeHeld({ i32, first }: HolderPlace): Generator<Held> {
  const used = Atomics.load(i32, first);
  for (let entry = 0; entry < used; entry++) {
    const at = entryAt(first, entry);
    const units = Atomics.exchange(i32, at + UNITS, 0);
    if (units === 0) continue;
    yield {
      units,
      limit: i32[at + LIMIT]!,
      record: i32[at + RECORD]!,
      identity0: i32[at + IDENTITY]!,
      identity1: i32[at + IDENTITY + 1]!,
      epoch: i32[at + EPOCH]!,
    };
  }
  Atomics.store(i32, first, 0);
}

const UNITS = 0;
const LIMIT = 1;
const RECORD = 2;
const IDENTITY = 3;
const EPOCH = 5;

function entryAt(first: number, entry: number): number {
  return first + 1 + 6 * entry;
}
