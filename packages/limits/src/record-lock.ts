import assert from "node:assert/strict";

/**
 * Locks of records and tables. Whoever takes several takes them in ascending order of address, so nobody waits in a
 * circle; nobody who holds a record waits for a table.
 */
export interface RecordLocks {
  /** False when one thread has the memory to itself; taking then always succeeds and costs nothing. */
  readonly isShared: boolean;
  /** Takes the lock at 32-bit element `at`; waits for a live holder some 100 ms at most. */
  take(at: number): LockResult;
  /** Takes it only if that needs no waiting. */
  tryTake(at: number): LockResult;
  release(at: number): void;
  /** Locks taken over from dead threads, and locks not had in time. */
  readonly broken: number;
  readonly timedOut: number;
}

/**
 * `missed`: not taken, a live thread holds it. `broken`: taken over from a dead thread, so what it guards may be
 * half written and derived words must be made again.
 */
export const LOCK = { missed: 0, taken: 1, broken: 2 } as const;
export type LockResult = (typeof LOCK)[keyof typeof LOCK];

/** For memory that one thread has to itself. */
export class NoLocks implements RecordLocks {
  readonly isShared = false;
  readonly broken = 0;
  readonly timedOut = 0;
  take(_at: number): LockResult {
    return LOCK.taken;
  }
  tryTake(_at: number): LockResult {
    return LOCK.taken;
  }
  release(_at: number): void {}
}

// Holders work for well below a microsecond, so most waits end while spinning; longer means that the holder was
// preempted or is dead, and sleeping lets it run. Nobody notifies: that would cost every release a call.
const SPINS = 256;
const SLEEPS = 100;
const SLEEP_MS = 1;

/**
 * Locks in shared memory that a dead thread cannot hold for ever. A word is 0 when free, else owner (8 bits) and generation (24):
 * who took it, and in which life. The owner table holds everybody's present generation. The supervisor
 * raises it when a thread ends, and whoever meets a lock of an older generation takes it over. A plain spin lock would stay
 * held when its thread is terminated inside, and freeze the key.
 */
export class SharedLocks implements RecordLocks {
  readonly isShared = true;
  broken = 0;
  timedOut = 0;
  readonly #i32: Int32Array;
  readonly #me: LockOwner;

  constructor(i32: Int32Array, me: LockOwner) {
    assert(!isDead(i32, me), "the lock owner is not alive");
    this.#i32 = i32;
    this.#me = me;
  }

  take(at: number): LockResult {
    if (Atomics.compareExchange(this.#i32, at, 0, this.#me) === 0) return LOCK.taken;
    return this.#wait(at);
  }

  tryTake(at: number): LockResult {
    const holder = Atomics.compareExchange(this.#i32, at, 0, this.#me);
    if (holder === 0) return LOCK.taken;
    return this.#takeOver(at, holder) ? LOCK.broken : LOCK.missed;
  }

  release(at: number): void {
    // Only if it is still ours: a lock that was taken over belongs to somebody else.
    Atomics.compareExchange(this.#i32, at, this.#me, 0);
  }

  #wait(at: number): LockResult {
    for (let round = 0; round < SPINS + SLEEPS; round++) {
      const holder = Atomics.compareExchange(this.#i32, at, 0, this.#me);
      if (holder === 0) return LOCK.taken;
      if (this.#takeOver(at, holder)) return LOCK.broken;
      if (round < SPINS) Atomics.pause();
      else Atomics.wait(this.#i32, at, holder, SLEEP_MS);
    }
    this.timedOut++;
    return LOCK.missed;
  }

  #takeOver(at: number, holder: number): boolean {
    if (!isDead(this.#i32, holder)) return false;
    if (Atomics.compareExchange(this.#i32, at, holder, this.#me) !== holder) return false;
    this.broken++;
    return true;
  }
}

/** One life of one thread: owner number << 24 | generation. A plain number, so that it can be sent to the thread. */
export type LockOwner = number;

/** Owner numbers are [1, MAX_LOCK_OWNERS]; their generations are the first elements of the memory. */
export const MAX_LOCK_OWNERS = 126;

/** Begins a new life of `owner`; locks of its earlier lives are free to be taken over. */
export function beginOwner(i32: Int32Array, owner: number): LockOwner {
  assert(Number.isInteger(owner) && owner >= 1 && owner <= MAX_LOCK_OWNERS, "no such lock owner");
  return (owner << 24) | nextGeneration(i32, owner);
}

/** Declares a life over. Only when its thread has ended: what it still holds is taken over at once. */
export function endOwner(i32: Int32Array, life: LockOwner): void {
  if (!isDead(i32, life)) nextGeneration(i32, life >>> 24);
}

function nextGeneration(i32: Int32Array, owner: number): number {
  const generation = (Atomics.load(i32, owner) + 1) & 0xffffff || 1;
  Atomics.store(i32, owner, generation);
  return generation;
}

function isDead(i32: Int32Array, life: LockOwner): boolean {
  return Atomics.load(i32, life >>> 24) !== (life & 0xffffff);
}
