import type { Random } from "@tidegate/clock";

/** Makes ids. Unpredictable, and cheap: random bytes are fetched in batches. */
export interface Identifiers {
  /** 32 lower-case hexadecimal digits (128 random bits): request, connection and trace ids. Never all zero. */
  long(): string;
  /** 16 lower-case hexadecimal digits (64 random bits): span ids. Never all zero. */
  short(): string;
}

// About 100 requests' worth: one call of the system's generator costs as much as all of them.
const POOL_BYTES = 4_096;

export function createIdentifiers(random: Random): Identifiers {
  let pool: Buffer = Buffer.alloc(0);
  let offset = 0;
  const take = (count: number): string => {
    for (;;) {
      if (offset + count > pool.length) {
        pool = random.bytes(POOL_BYTES);
        offset = 0;
      }
      // `toString` copies: an id that lives as long as its socket must not hold a whole pool.
      const id = pool.toString("hex", offset, offset + count);
      offset += count;
      if (!ALL_ZERO.test(id)) return id;
    }
  };
  return { long: () => take(16), short: () => take(8) };
}

// W3C Trace Context §3.2.2.3: an id of zeros is invalid.
const ALL_ZERO = /^0+$/;
