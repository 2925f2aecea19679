import { createHmac } from "node:crypto";
import type { Random } from "@tidegate/clock";

/**
 * Which one-time values were seen lately, over all threads of a process: a table in shared memory, without locks, so that
 * a thread that dies can leave nothing locked.
 *
 * A value is written down first and looked for afterwards. Two threads that write the same value at the same moment then
 * both find the other's: at most one of them is told that it was the first, never both. Which of the two that is, or
 * whether it is neither, does not matter: whoever sends one value twice at once has used it up.
 */
export interface ReplayMemory {
  /**
   * Takes a value once.
   * @param untilMs monotonic; until when a second one is refused
   * @returns `full` when there is no room to remember it: then it must not count either
   */
  take(value: string, untilMs: number, nowMs: number): "first" | "seen" | "full";
}

/** What threads share; can be sent to one. */
export interface ReplayTable {
  readonly slots: SharedArrayBuffer;
  /** Keys the digests, so that nobody outside can aim at one bucket. */
  readonly secret: Uint8Array;
}

/**
 * @param options.slotCount rounded up to a power of two. Default: 262,144, which is 4 MiB: at one minute each, more than
 *   2,000 proofs a second, more than a machine of few cores can verify
 */
export function createReplayTable({
  random,
  slotCount = DEFAULT_SLOTS,
}: {
  readonly random: Random;
  readonly slotCount?: number;
}): ReplayTable {
  const buckets = 2 ** Math.ceil(Math.log2(Math.max(1, slotCount / SLOTS_PER_BUCKET)));
  return {
    slots: new SharedArrayBuffer(buckets * SLOTS_PER_BUCKET * WORDS * 4),
    secret: random.bytes(32),
  };
}

export function attachReplayMemory({ slots, secret }: ReplayTable): ReplayMemory {
  const words = new Int32Array(slots);
  const bucketMask = words.length / WORDS / SLOTS_PER_BUCKET - 1;

  return {
    take(value, untilMs, nowMs) {
      const digest = createHmac("sha256", secret).update(value).digest();
      const base = (digest.readUInt32LE(12) & bucketMask) * SLOTS_PER_BUCKET * WORDS;
      const nowSeconds = Math.floor(nowMs / 1_000);
      if (isIn(base, digest, { nowSeconds, except: -1 })) return "seen";
      const own = claim(base, nowSeconds);
      if (own < 0) return "full";
      for (let part = 0; part < 3; part++)
        Atomics.store(words, own + 1 + part, digest.readInt32LE(part * 4));
      Atomics.store(words, own, Math.max(1, Math.ceil(untilMs / 1_000) + 1));
      return isIn(base, digest, { nowSeconds, except: own }) ? "seen" : "first";
    },
  };

  function isIn(
    base: number,
    digest: Buffer,
    { nowSeconds, except }: { nowSeconds: number; except: number },
  ): boolean {
    for (let at = base; at < base + SLOTS_PER_BUCKET * WORDS; at += WORDS) {
      // A slot that another thread is filling is not looked at: that thread looks at ours afterwards.
      if (at === except || Atomics.load(words, at) <= nowSeconds) continue;
      if (
        Atomics.load(words, at + 1) === digest.readInt32LE(0) &&
        Atomics.load(words, at + 2) === digest.readInt32LE(4) &&
        Atomics.load(words, at + 3) === digest.readInt32LE(8)
      ) {
        return true;
      }
    }
    return false;
  }

  /** @returns the first word of a slot that is ours now; -1 when all are in use */
  function claim(base: number, nowSeconds: number): number {
    for (let at = base; at < base + SLOTS_PER_BUCKET * WORDS; at += WORDS) {
      const until = Atomics.load(words, at);
      if (until === FILLING || until > nowSeconds) continue;
      if (Atomics.compareExchange(words, at, until, FILLING) === until) return at;
    }
    return -1;
  }
}

/** Until when (seconds, 0: never used), and 96 bits of the digest. */
const WORDS = 4;
const SLOTS_PER_BUCKET = 16;
const DEFAULT_SLOTS = 262_144;
/** Stays when a thread dies while it fills: one slot of 262,144 per crash. */
const FILLING = -1;
