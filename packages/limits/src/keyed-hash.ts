/**
 * SipHash-1-3 of a caller's key, 64 bits, in 32-bit halves because doubles have no 64-bit integers.
 *
 * Why keyed: keys come from callers. With an unkeyed hash, or a seeded one with seed-independent collisions (murmur,
 * xxhash), an attacker prepares keys that all fall into one chain, or one that equals a victim's (hash flooding).
 * SipHash with a secret of the process leaves only guessing. Two keys of one limit collide by chance with 3e-6
 * at 10 million keys; then they share one budget, which denies too much, never too little.
 * Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012; 1-3 rounds as in Rust's HashMap.
 */
export class KeyedHash {
  /** The two halves of the last `update`; not both 0. */
  h0 = 0;
  h1 = 0;
  readonly #k0l: number;
  readonly #k0h: number;
  readonly #k1l: number;
  readonly #k1h: number;
  #v0l = 0;
  #v0h = 0;
  #v1l = 0;
  #v1h = 0;
  #v2l = 0;
  #v2h = 0;
  #v3l = 0;
  #v3h = 0;

  /** @param secret 16 unpredictable bytes, the same in all threads that share a table */
  constructor(secret: Uint8Array) {
    const view = new DataView(secret.buffer, secret.byteOffset, 16);
    this.#k0l = view.getInt32(0, true);
    this.#k0h = view.getInt32(4, true);
    this.#k1l = view.getInt32(8, true);
    this.#k1h = view.getInt32(12, true);
  }

  /** Hashes `key` into `h0` and `h1`. A string and its bytes are different keys. */
  update(key: string | Uint8Array): void {
    this.#start();
    if (typeof key !== "string") this.#bytes(key);
    else if (!this.#ascii(key)) {
      this.#start();
      this.#wide(key);
    }
    this.#finish();
  }

  #start(): void {
    this.#v0l = this.#k0l ^ 0x70736575;
    this.#v0h = this.#k0h ^ 0x736f6d65;
    this.#v1l = this.#k1l ^ 0x6e646f6d;
    this.#v1h = this.#k1h ^ 0x646f7261;
    this.#v2l = this.#k0l ^ 0x6e657261;
    this.#v2h = this.#k0h ^ 0x6c796765;
    this.#v3l = this.#k1l ^ 0x79746573;
    this.#v3h = this.#k1h ^ 0x74656462;
  }

  // The last block carries length and form, so that no key of one form is a key of another.
  #bytes(key: Uint8Array): void {
    const whole = key.length & ~7;
    for (let at = 0; at < whole; at += 8) {
      this.#block(
        key[at]! | (key[at + 1]! << 8) | (key[at + 2]! << 16) | (key[at + 3]! << 24),
        key[at + 4]! | (key[at + 5]! << 8) | (key[at + 6]! << 16) | (key[at + 7]! << 24),
      );
    }
    let low = 0;
    let high = 0;
    for (let at = whole; at < key.length; at++) {
      if (at - whole < 4) low |= key[at]! << (8 * (at - whole));
      else high |= key[at]! << (8 * (at - whole - 4));
    }
    this.#block(low, high);
    this.#block(key.length, BYTES);
  }

  /** One byte per character; false, with the state spoilt, when a character needs two. */
  #ascii(key: string): boolean {
    const length = key.length;
    let seen = 0;
    let low = 0;
    let high = 0;
    for (let at = 0; at < length; at++) {
      const code = key.charCodeAt(at);
      seen |= code;
      const shift = (at & 3) << 3;
      if ((at & 4) === 0) low |= code << shift;
      else high |= code << shift;
      if ((at & 7) === 7) {
        this.#block(low, high);
        low = 0;
        high = 0;
      }
    }
    if (seen > 0x7f) return false;
    if ((length & 7) !== 0) this.#block(low, high);
    this.#block(length, ASCII);
    return true;
  }

  #wide(key: string): void {
    const length = key.length;
    for (let at = 0; at < length; at += 4) {
      this.#block(
        unitAt(key, at) | (unitAt(key, at + 1) << 16),
        unitAt(key, at + 2) | (unitAt(key, at + 3) << 16),
      );
    }
    this.#block(length, WIDE);
  }

  #block(low: number, high: number): void {
    this.#v3l ^= low;
    this.#v3h ^= high;
    this.#round();
    this.#v0l ^= low;
    this.#v0h ^= high;
  }

  #finish(): void {
    this.#v2l ^= 0xff;
    this.#round();
    this.#round();
    this.#round();
    this.h0 = this.#v0l ^ this.#v1l ^ this.#v2l ^ this.#v3l;
    this.h1 = this.#v0h ^ this.#v1h ^ this.#v2h ^ this.#v3h;
    // (0, 0) marks a record that serves nobody.
    if ((this.h0 | this.h1) === 0) this.h1 = 1;
  }

  #round(): void {
    let v0l = this.#v0l;
    let v0h = this.#v0h;
    let v1l = this.#v1l;
    let v1h = this.#v1h;
    let v2l = this.#v2l;
    let v2h = this.#v2h;
    let v3l = this.#v3l;
    let v3h = this.#v3h;
    let turned = 0;

    // v0 += v1; v1 = rotl(v1, 13) ^ v0; v0 = rotl(v0, 32)
    let sum = (v0l >>> 0) + (v1l >>> 0);
    v0h = (v0h + v1h + (sum > 0xffffffff ? 1 : 0)) | 0;
    v0l = sum | 0;
    turned = ((v1l << 13) | (v1h >>> 19)) ^ v0l;
    v1h = ((v1h << 13) | (v1l >>> 19)) ^ v0h;
    v1l = turned;
    turned = v0l;
    v0l = v0h;
    v0h = turned;
    // v2 += v3; v3 = rotl(v3, 16) ^ v2
    sum = (v2l >>> 0) + (v3l >>> 0);
    v2h = (v2h + v3h + (sum > 0xffffffff ? 1 : 0)) | 0;
    v2l = sum | 0;
    turned = ((v3l << 16) | (v3h >>> 16)) ^ v2l;
    v3h = ((v3h << 16) | (v3l >>> 16)) ^ v2h;
    v3l = turned;
    // v0 += v3; v3 = rotl(v3, 21) ^ v0
    sum = (v0l >>> 0) + (v3l >>> 0);
    v0h = (v0h + v3h + (sum > 0xffffffff ? 1 : 0)) | 0;
    v0l = sum | 0;
    turned = ((v3l << 21) | (v3h >>> 11)) ^ v0l;
    v3h = ((v3h << 21) | (v3l >>> 11)) ^ v0h;
    v3l = turned;
    // v2 += v1; v1 = rotl(v1, 17) ^ v2; v2 = rotl(v2, 32)
    sum = (v2l >>> 0) + (v1l >>> 0);
    v2h = (v2h + v1h + (sum > 0xffffffff ? 1 : 0)) | 0;
    v2l = sum | 0;
    turned = ((v1l << 17) | (v1h >>> 15)) ^ v2l;
    v1h = ((v1h << 17) | (v1l >>> 15)) ^ v2h;
    v1l = turned;
    turned = v2l;
    v2l = v2h;
    v2h = turned;

    this.#v0l = v0l;
    this.#v0h = v0h;
    this.#v1l = v1l;
    this.#v1h = v1h;
    this.#v2l = v2l;
    this.#v2h = v2h;
    this.#v3l = v3l;
    this.#v3h = v3h;
  }
}

const BYTES = 1;
const ASCII = 2;
const WIDE = 3;

function unitAt(key: string, at: number): number {
  return at < key.length ? key.charCodeAt(at) : 0;
}
