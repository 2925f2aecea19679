/**
 * Bounds the hashing of passwords over all users files of a worker. Each hash takes 32 MiB and a fifth of a second of
 * one of the platform's four threads, so a flood of sign-ins would otherwise stop everything else that needs them.
 */
export interface HashingPool {
  /** @returns undefined when the queue is full: nothing was started */
  run<Value>(task: () => Promise<Value>): Promise<Value> | undefined;
  readonly inFlight: number;
  readonly queued: number;
}

export function createHashingPool({
  maxInFlight = MAX_IN_FLIGHT,
  maxQueued = MAX_QUEUED,
}: { readonly maxInFlight?: number; readonly maxQueued?: number } = {}): HashingPool {
  let inFlight = 0;
  const queue: (() => void)[] = [];

  /** Runs a task in a slot that is already taken, and hands the slot on, so that nobody slips in between. */
  const runInSlot = async <Value>(task: () => Promise<Value>): Promise<Value> => {
    try {
      return await task();
    } finally {
      const next = queue.shift();
      if (next === undefined) inFlight--;
      else next();
    }
  };

  return {
    run(task) {
      if (inFlight < maxInFlight) {
        inFlight++;
        return runInSlot(task);
      }
      if (queue.length >= maxQueued) return undefined;
      const { promise, resolve } = Promise.withResolvers<void>();
      queue.push(resolve);
      return promise.then(() => runInSlot(task));
    },
    get inFlight() {
      return inFlight;
    },
    get queued() {
      return queue.length;
    },
  };
}

/** Half of the platform's four threads: files, names and signatures keep the other half. */
const MAX_IN_FLIGHT = 2;
/** About three seconds of work; who would come behind it is better told to come back. */
const MAX_QUEUED = 32;
