import { createHmac, timingSafeEqual } from "node:crypto";

/**
 * Opaque, signed places in a list. A cursor is good only for the list it was made for (same person, same
 * filters, same order), so that one carried elsewhere is refused instead of answering something odd.
 */
export interface PageCursors {
  /** @param scope everything that makes this list this list */
  seal(scope: string, place: readonly (string | number)[]): string;
  /** The place, or undefined when the cursor was not made here for this scope. */
  open(scope: string, cursor: string): readonly (string | number)[] | undefined;
}

// 128 bits of the tag: guessing one is hopeless, and the cursor stays short enough for a link.
const TAG_BYTES = 16;

/** @param key at least 32 random bytes, kept with the data so that cursors survive a restart */
export function createPageCursors(key: Uint8Array): PageCursors {
  const tagOf = (scope: string, body: string): Buffer =>
    createHmac("sha256", key)
      .update(`${scope.length}:${scope}${body}`)
      .digest()
      .subarray(0, TAG_BYTES);

  return {
    seal(scope, place) {
      const body = JSON.stringify(place);
      return Buffer.concat([tagOf(scope, body), Buffer.from(body)]).toString("base64url");
    },
    open(scope, cursor) {
      const bytes = Buffer.from(cursor, "base64url");
      if (bytes.length <= TAG_BYTES) return undefined;
      // Decoders skip stray characters: only the one spelling that we made is accepted.
      if (bytes.toString("base64url") !== cursor) return undefined;
      const body = bytes.subarray(TAG_BYTES).toString();
      if (!timingSafeEqual(bytes.subarray(0, TAG_BYTES), tagOf(scope, body))) return undefined;
      // Signed, so it is what `seal` wrote.
      const place: (string | number)[] = JSON.parse(body);
      return place;
    },
  };
}
