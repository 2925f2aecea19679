import { createHmac } from "node:crypto";
import type { Clock } from "@tidegate/clock";
import type { PenaltyKey } from "./penalty-key.ts";
import type { PenaltyName, PenaltyView } from "./penalty-store.ts";

// Who is boxed, in memory that every thread of the process reads and one thread, the main one, writes. Readers take no
// lock and never wait: a record is found or not, and each answer comes from one 32-bit word.
//
// A record is written value first and identity last, is never moved and never given to somebody else; one that is dropped
// keeps its identity with nothing in it. Room comes back only by rebuilding into the other half of the memory and
// turning to it (`TURN`). A reader that sees the turn change while it looks, looks again.

/** What a thread needs to read the table: send it to a worker as it is. */
export interface PenaltyMemory {
  readonly buffer: SharedArrayBuffer;
  /** Key of the hash, 32 bytes. With it, keys that collide with somebody's could be made. */
  readonly secret: Uint8Array;
}

/** One thread's view of the table. Stores extend it by how penalties come in. */
export class PenaltyTable {
  readonly memory: PenaltyMemory;
  readonly #words: Int32Array;
  readonly #times: Float64Array;
  readonly #clock: Clock;
  readonly #mask: number;

  constructor(memory: PenaltyMemory, clock: Clock) {
    this.memory = memory;
    this.#words = new Int32Array(memory.buffer);
    this.#times = new Float64Array(memory.buffer, 0, HEADER_TIMES);
    this.#clock = clock;
    this.#mask = slotsOf(this.#words) - 1;
  }

  get epoch(): number {
    return Atomics.load(this.#words, EPOCH) >>> 0;
  }

  get isEmpty(): boolean {
    return Atomics.load(this.#words, USED) === 0;
  }

  name({ narrow, wide }: PenaltyKey): PenaltyName {
    const exact = hashOf(this.memory.secret, narrow);
    const wider = wide === "" ? NOTHING : hashOf(this.memory.secret, wide);
    return { narrow0: exact.h0, narrow1: exact.h1, wide0: wider.h0, wide1: wider.h1 };
  }

  isBoxed({ narrow0, narrow1, wide0, wide1 }: PenaltyName): boolean {
    if (this.isEmpty) return false;
    const now = this.#nowTicks();
    if (this.#read(narrow0, narrow1, UNTIL) >>> 0 > now) return true;
    return wide0 !== 0 && this.#read(wide0, wide1, UNTIL) >>> 0 > now;
  }

  look({ narrow0, narrow1, wide0, wide1 }: PenaltyName, view: PenaltyView): void {
    const now = this.#nowTicks();
    const until = this.#read(narrow0, narrow1, UNTIL) >>> 0;
    let latest = until;
    view.strikes = this.#read(narrow0, narrow1, STRIKES);
    view.generation = this.#read(narrow0, narrow1, GENERATION) >>> 0;
    let duty = this.#read(narrow0, narrow1, DUTY) >>> 0;
    if (wide0 !== 0) {
      latest = Math.max(until, this.#read(wide0, wide1, UNTIL) >>> 0);
      view.strikes = Math.max(view.strikes, this.#read(wide0, wide1, STRIKES));
      view.generation = Math.max(view.generation, this.#read(wide0, wide1, GENERATION) >>> 0);
      duty = Math.max(duty, this.#read(wide0, wide1, DUTY) >>> 0);
    }
    view.isBoxed = latest > now;
    view.retryAfterMs =
      latest === FOR_EVER
        ? Number.POSITIVE_INFINITY
        : view.isBoxed
          ? (latest - now) * MS_PER_TICK
          : 0;
    view.reauthenticateAfterMs = duty * 1_000;
  }

  /** Milliseconds of the store's own time: never goes back, and begins as wall time. */
  protected get nowMs(): number {
    return this.#clock.monotonicMs() + (this.#times[STEADY_OFFSET] as number);
  }

  // Rounded down, while the ends of penalties are rounded up: nobody comes out early.
  #nowTicks(): number {
    return Math.floor((this.nowMs - (this.#times[BASE] as number)) / MS_PER_TICK);
  }

  /** One word of a record; 0 when nobody has that name. */
  #read(h0: number, h1: number, word: number): number {
    const words = this.#words;
    for (;;) {
      const turn = Atomics.load(words, TURN);
      const at = findSlot(words, { half: turn & 1, mask: this.#mask, h0, h1 });
      const value = Atomics.load(words, at) === h0 ? Atomics.load(words, at + word) : 0;
      if (Atomics.load(words, TURN) === turn) return value;
    }
  }
}

/** Reserves the memory. Pages are committed as they are first written: an unused table costs address space only. */
export function createPenaltyMemory(options: {
  /** The most keys that will be known at once. */
  readonly maxPenalties: number;
  readonly secret: Uint8Array;
  readonly clock: Clock;
}): PenaltyMemory {
  const { maxPenalties, secret, clock } = options;
  // At most half the slots are in use after a rebuild, so that probes stay short and rebuilds rare.
  const slots = 2 ** Math.ceil(Math.log2(Math.max(16, 2 * maxPenalties)));
  const buffer = new SharedArrayBuffer(4 * (HEADER_WORDS + 2 * slots * RECORD_WORDS));
  const times = new Float64Array(buffer, 0, HEADER_TIMES);
  times[STEADY_OFFSET] = clock.wallMs() - clock.monotonicMs();
  times[BASE] = clock.wallMs();
  new Int32Array(buffer)[SLOTS] = slots;
  return { buffer, secret };
}

/** Where a name stands, or the free slot where it would. `at` is the index of its first word. */
export function findSlot(
  words: Int32Array,
  { half, mask, h0, h1 }: { half: number; mask: number; h0: number; h1: number },
): number {
  const first = HEADER_WORDS + half * (mask + 1) * RECORD_WORDS;
  // Ends: at least a quarter of the slots is free.
  for (let slot = h1 & mask; ; slot = (slot + 1) & mask) {
    const at = first + slot * RECORD_WORDS;
    const found = Atomics.load(words, at);
    if (found === 0 || (found === h0 && Atomics.load(words, at + 1) === h1)) return at;
  }
}

/** The hash that names a key in the table. Keyed, because keys come from callers (hash flooding, collision with a victim). */
export function hashOf(
  secret: Uint8Array,
  key: string,
): { readonly h0: number; readonly h1: number } {
  const digest = createHmac("sha256", secret).update(key).digest();
  // 0 marks a free slot.
  return { h0: digest.readInt32LE(0) || 1, h1: digest.readInt32LE(4) };
}

export function slotsOf(words: Int32Array): number {
  return words[SLOTS] as number;
}

const NOTHING = { h0: 0, h1: 0 };

/** 32 bits of 100 ms are 13 years from the start of the process. */
export const MS_PER_TICK = 100;
/** Only an operator opens this box. */
export const FOR_EVER = 0xffff_ffff;

// The header: two times of 8 bytes, then words.
const HEADER_TIMES = 2;
/** What monotonic time lacks to the store's own time. Written once. */
export const STEADY_OFFSET = 0;
/** The store's time that tick 0 is. Written once. */
export const BASE = 1;
export const EPOCH = 4;
/** Its last bit is the half in use. */
export const TURN = 5;
/** Slots of the half in use that are not free. */
export const USED = 6;
const SLOTS = 7;
export const HEADER_WORDS = 16;

// A record: identity (two words), then these.
export const UNTIL = 2;
/** Second of P, or 0. */
export const DUTY = 3;
export const STRIKES = 4;
export const GENERATION = 5;
export const RECORD_WORDS = 6;
