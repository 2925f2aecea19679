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

// The ids of about one request, turned into text at once. Ids are parts of such a text and keep it alive, so that it must
// be short: an id may live as long as its socket.
const TEXT_BYTES = 64;

export function createIdentifiers(random: Random): Identifiers {
  let pool: Buffer = Buffer.alloc(0);
  let offset = 0;
  let text = "";
  let at = 0;
  const refill = (): void => {
    if (offset + TEXT_BYTES > pool.length) {
      pool = random.bytes(POOL_BYTES);
      offset = 0;
    }
    text = pool.toString("hex", offset, offset + TEXT_BYTES);
    offset += TEXT_BYTES;
    at = 0;
  };
  const take = (digits: number): string => {
    for (;;) {
      if (at + digits > text.length) refill();
      const id = text.slice(at, at + digits);
      at += digits;
      if (id.charCodeAt(0) !== ZERO || !ALL_ZERO.test(id)) return id;
    }
  };
  return { long: () => take(32), short: () => take(16) };
}

const ZERO = 48;
// W3C Trace Context §3.2.2.3: an id of zeros is invalid.
const ALL_ZERO = /^0+$/;
