/**
 * The same text in one piece of memory. Joined strings are trees of their parts, and whoever writes them out walks the
 * tree anew each time; worth it for a text that is written more often than made. Must hold no lone surrogates.
 */
export function inOnePiece(text: string): string {
  return Buffer.from(text).toString();
}
