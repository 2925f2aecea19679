/**
 * One form for every path, made before anything is matched, and sent upstream as it was matched: a guard and
 * the service behind it must never read two different paths out of one request (path confusion).
 *
 * - Escapes of unreserved characters are decoded, once (RFC 3986 §6.2.2.2); other escapes get upper-case digits.
 * - Dot segments, encoded ones too, are resolved (RFC 3986 §5.2.4); climbing above the root is refused, and so is
 *   a dot segment that only a service would see: behind an encoded separator, or before a `;`.
 * - What servers are known to read in different ways is reported in `oddities`, for the route to allow or not.
 */
export interface CanonicalPath {
  readonly path: string;
  /** Bits of `ODDITY`. */
  readonly oddities: number;
}

export const ODDITY = {
  encodedSlash: 1,
  encodedBackslash: 2,
  semicolon: 4,
  emptySegment: 8,
} as const;

const ODDITY_BY_NAME = {
  "%2F": ODDITY.encodedSlash,
  "%5C": ODDITY.encodedBackslash,
  ";": ODDITY.semicolon,
  "//": ODDITY.emptySegment,
} as const;

/** The bits that a route's `allowInPath` allows. */
export function oddityBitsOf(names: readonly (keyof typeof ODDITY_BY_NAME)[]): number {
  let bits = 0;
  for (const name of names) bits |= ODDITY_BY_NAME[name];
  return bits;
}

/**
 * @param path the path of a request target, beginning with `/`, without query
 * @returns undefined when no canonical form exists: an invalid escape, NUL, a character that may not stand in
 *   a path, or a climb above the root
 */
export function toCanonicalPath(path: string): CanonicalPath | undefined {
  if (PLAIN.test(path)) return { path, oddities: 0 };
  const decoded = decodeUnreserved(path);
  if (decoded === undefined) return undefined;
  const resolved = resolveDotSegments(decoded);
  // A path that begins with two slashes would be read as an authority by who resolves it as a reference.
  if (resolved === undefined || resolved.startsWith("//") || HIDDEN_DOTS.test(resolved))
    return undefined;
  return { path: resolved, oddities: findOddities(resolved) };
}

// Nearly every path that is sent: no escape, no dot at the start of a segment, no empty segment but the last.
const PLAIN = /^(?:\/[A-Za-z0-9_~!$&'()*+,=:@-][A-Za-z0-9._~!$&'()*+,=:@-]*)*\/?$/;

// `/a/..;x/b` climbs in servers that take parameters off first, `/a/..%2Fb` in those that decode first.
const HIDDEN_DOTS = /(?:\/|%2F|%5C)\.{1,2}(?:;|%2F|%5C|\/|$)/;

// Printable ASCII without `#`, `\` and space; `?` cannot occur in a path.
const ALLOWED = /^[!"$-[\]-~]+$/;

function decodeUnreserved(path: string): string | undefined {
  if (!ALLOWED.test(path)) return undefined;
  if (!path.includes("%")) return path;
  let isValid = true;
  const decoded = path.replaceAll(/%(.{0,2})/gs, (escape, digits: string) => {
    if (!/^[0-9A-Fa-f]{2}$/.test(digits) || digits === "00") isValid = false;
    const character = String.fromCharCode(Number.parseInt(digits, 16));
    return /^[A-Za-z0-9._~-]$/.test(character) ? character : escape.toUpperCase();
  });
  return isValid ? decoded : undefined;
}

function resolveDotSegments(path: string): string | undefined {
  if (!path.includes("/.")) return path;
  const kept: string[] = [];
  const segments = path.split("/").slice(1);
  for (const [position, segment] of segments.entries()) {
    const isLast = position === segments.length - 1;
    if (segment === "..") {
      if (kept.pop() === undefined) return undefined;
    } else if (segment !== ".") {
      kept.push(segment);
      continue;
    }
    // RFC 3986 §5.2.4: a dot segment at the end leaves its slash behind.
    if (isLast) kept.push("");
  }
  return `/${kept.join("/")}`;
}

function findOddities(path: string): number {
  let oddities = 0;
  if (path.includes("%2F")) oddities |= ODDITY.encodedSlash;
  if (path.includes("%5C")) oddities |= ODDITY.encodedBackslash;
  if (path.includes(";")) oddities |= ODDITY.semicolon;
  if (path.includes("//")) oddities |= ODDITY.emptySegment;
  return oddities;
}
