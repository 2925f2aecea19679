/**
 * Locks in shared memory that a dead thread cannot hold for ever. A lock word is 0 when free, else owner and generation:
 * who took it, and in which life. The owner table holds each owner's present generation; the supervisor raises
 * it when a thread ends (`endOwner`), and whoever waits for a lock of an older generation takes it over and is told so.
 * (A plain spin lock stays held when its thread is terminated inside: then the key is frozen.)
 *
 * Deadlock is impossible because whoever takes several takes them in ascending order of their address.
 */
export interface RecordLocks {
  /** False when one thread has the memory to itself; `take` then always succeeds at no cost. */
  readonly isShared: boolean;
  /** Takes the lock at element `at`; waits at most some 100 ms. */
  take(at: number): LockResult;
  /** Takes it only if that needs no waiting. */
  tryTake(at: number): boolean;
  release(at: number): void;
}

/** `timedOut`: not taken, a live thread held it throughout. `broken`: taken from a dead thread; derived state must be repaired. */
export const LOCK = { timedOut: 0, taken: 1, broken: 2 } as const;
export type LockResult = (typeof LOCK)[keyof typeof LOCK];

/** For memory that one thread has to itself. */
export const NO_LOCKS: RecordLocks = {
  isShared: false,
  take: () => LOCK.taken,
  tryTake: () => true,
  release: () => {},
};
