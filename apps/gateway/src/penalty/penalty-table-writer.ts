import {
  BASE,
  DUTY,
  EPOCH,
  findSlot,
  FOR_EVER,
  GENERATION,
  hashOf,
  HEADER_WORDS,
  MS_PER_TICK,
  RECORD_WORDS,
  slotsOf,
  STRIKES,
  TURN,
  UNTIL,
  USED,
  type PenaltyMemory,
} from "./penalty-table.ts";
import { SUSPENDED, type Penalty } from "./penalty-rules.ts";

/** The writing side of the table. One per process, on the main thread. */
export class PenaltyTableWriter {
  readonly #words: Int32Array;
  readonly #baseMs: number;
  readonly #secret: Uint8Array;
  readonly #mask: number;
  readonly #shown: (() => void) | undefined;

  /** @param shown told after each penalty that was shown */
  constructor({ buffer, secret }: PenaltyMemory, shown?: () => void) {
    this.#shown = shown;
    this.#words = new Int32Array(buffer);
    this.#baseMs = new Float64Array(buffer)[BASE] as number;
    this.#secret = secret;
    this.#mask = slotsOf(this.#words) - 1;
  }

  /**
   * Shows a penalty to every thread, and raises the epoch.
   * @param key the text of one key, narrow or wide
   * @returns false when more are known than the table was made for; it is not shown then
   */
  put(key: string, { untilMs, startedMs, strikes, kind }: Penalty): boolean {
    const words = this.#words;
    const at = this.#slotFor(key);
    if (at === undefined) return false;
    const epoch = this.#nextEpoch();
    Atomics.store(words, at + GENERATION, epoch);
    Atomics.store(words, at + STRIKES, strikes);
    Atomics.store(words, at + DUTY, kind === "person" ? Math.floor(startedMs / 1_000) : 0);
    Atomics.store(words, at + UNTIL, this.#ticks(untilMs));
    this.#claim(at, key);
    Atomics.store(words, EPOCH, epoch);
    this.#shown?.();
    return true;
  }

  /** Forgets a key. Its generation rises all the same, so that what was counted before is not counted again. */
  drop(key: string): void {
    const words = this.#words;
    const { h0, h1 } = hashOf(this.#secret, key);
    const at = findSlot(words, { half: this.#half, mask: this.#mask, h0, h1 });
    if (words[at] === 0) return;
    const epoch = this.#nextEpoch();
    Atomics.store(words, at + UNTIL, 0);
    Atomics.store(words, at + DUTY, 0);
    Atomics.store(words, at + STRIKES, 0);
    Atomics.store(words, at + GENERATION, epoch);
    Atomics.store(words, EPOCH, epoch);
  }

  /**
   * Copies what still means something into the other half, and turns to it. Readers never wait. Some milliseconds for
   * 65,536 records.
   */
  rebuild(): void {
    const words = this.#words;
    const to = 1 - this.#half;
    const size = (this.#mask + 1) * RECORD_WORDS;
    const first = HEADER_WORDS + to * size;
    words.fill(0, first, first + size);
    let used = 0;
    for (let at = HEADER_WORDS + this.#half * size, left = this.#mask + 1; left > 0; left--) {
      if (words[at] !== 0 && isLive(words, at)) {
        const place = { half: to, mask: this.#mask, h0: words[at]!, h1: words[at + 1]! };
        words.copyWithin(findSlot(words, place), at, at + RECORD_WORDS);
        used++;
      }
      at += RECORD_WORDS;
    }
    Atomics.add(words, TURN, 1);
    Atomics.store(words, USED, used);
  }

  get #half(): number {
    return (this.#words[TURN] as number) & 1;
  }

  #slotFor(key: string): number | undefined {
    const words = this.#words;
    const { h0, h1 } = hashOf(this.#secret, key);
    const found = findSlot(words, { half: this.#half, mask: this.#mask, h0, h1 });
    const most = ((this.#mask + 1) / 4) * 3;
    if (words[found] !== 0 || (words[USED] as number) < most) return found;
    this.rebuild();
    if ((words[USED] as number) >= most) return undefined;
    return findSlot(words, { half: this.#half, mask: this.#mask, h0, h1 });
  }

  /** The identity comes last: before it, nobody finds the record. */
  #claim(at: number, key: string): void {
    const words = this.#words;
    if (words[at] !== 0) return;
    const { h0, h1 } = hashOf(this.#secret, key);
    Atomics.store(words, at + 1, h1);
    Atomics.store(words, at, h0);
    Atomics.add(words, USED, 1);
  }

  // 0 is the epoch of a table in which nothing ever happened, and the generation of who was never boxed.
  #nextEpoch(): number {
    return ((this.#words[EPOCH] as number) + 1) | 0 || 1;
  }

  #ticks(untilMs: number): number {
    if (untilMs === SUSPENDED) return FOR_EVER | 0;
    const ticks = Math.ceil((untilMs - this.#baseMs) / MS_PER_TICK);
    return Math.min(Math.max(ticks, 0), FOR_EVER - 1) | 0;
  }
}

function isLive(words: Int32Array, at: number): boolean {
  return (words[at + UNTIL]! | words[at + DUTY]! | words[at + STRIKES]!) !== 0;
}
