/**
 * A map that forgets: bounded by entries and by bytes. What was not asked for lately goes first (second chance: a
 * read only sets a flag, so that a hit moves nothing). Used for verified credentials and signed assertions.
 */
export interface BoundedMemory<Value> {
  get(key: string): Value | undefined;
  /** @param bytes what the entry costs in memory, roughly; larger than the whole bound is not kept at all */
  set(key: string, value: Value, bytes: number): void;
  delete(key: string): void;
  clear(): void;
  readonly size: number;
  /** Sum of the sizes given to `set`. */
  readonly bytes: number;
}

export function createBoundedMemory<Value>({
  maxEntries,
  maxBytes,
}: {
  readonly maxEntries: number;
  readonly maxBytes: number;
}): BoundedMemory<Value> {
  const entries = new Map<string, Entry<Value>>();
  let held = 0;

  const forget = (key: string, entry: Entry<Value>): void => {
    entries.delete(key);
    held -= entry.bytes;
  };

  // Sparing an entry clears its flag, so the work is O(1) per set on the average; MAX_SPARED bounds the single one.
  const makeRoom = (bytes: number): void => {
    let spared = 0;
    for (const [key, entry] of entries) {
      if (entries.size < maxEntries && held + bytes <= maxBytes) return;
      if (entry.wasRead && spared < MAX_SPARED) {
        spared++;
        entry.wasRead = false;
        entries.delete(key);
        entries.set(key, entry);
      } else {
        forget(key, entry);
      }
    }
  };

  return {
    get(key) {
      const entry = entries.get(key);
      if (entry === undefined) return undefined;
      entry.wasRead = true;
      return entry.value;
    },
    set(key, value, bytes) {
      const before = entries.get(key);
      if (before !== undefined) forget(key, before);
      if (bytes > maxBytes || maxEntries < 1) return;
      // Before it is there itself: among entries that were all read it would be the first to go.
      makeRoom(bytes);
      entries.set(key, { value, bytes, wasRead: false });
      held += bytes;
    },
    delete(key) {
      const entry = entries.get(key);
      if (entry !== undefined) forget(key, entry);
    },
    clear() {
      entries.clear();
      held = 0;
    },
    get size() {
      return entries.size;
    },
    get bytes() {
      return held;
    },
  };
}

/** A table of many thousand entries that were all read lately must not stop one caller for milliseconds. */
const MAX_SPARED = 64;

interface Entry<Value> {
  readonly value: Value;
  readonly bytes: number;
  /** Set by `get`, cleared by `makeRoom`. */
  wasRead: boolean;
}
