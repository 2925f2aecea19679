/**
 * Whether `code` may stand in a close frame (RFC 6455 §7.4 and the registry of close codes).
 * 1004 is reserved; 1005, 1006 and 1015 are told to applications when no frame came and never go over the wire.
 */
export function isCloseCode(code: number): boolean {
  if (code >= 3000) return code <= 4999;
  return code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006;
}
