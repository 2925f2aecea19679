import { OWN_PREFIX } from "../accept/own-endpoints.ts";

/**
 * Where a browser goes after sign-in: a path of ours, with query and fragment.
 *
 * Open redirect: whoever makes a person sign in by a link chooses `returnTo`. Browsers read `\` as `/`, drop tabs and
 * line breaks inside URLs, and take `//` as the start of another host; what could be read in two ways is not taken.
 * The gateway's own endpoints are no place to return to: one of them would begin again (a loop).
 * @param text as it stands in the query, decoded once
 * @param publicUrl an origin
 * @returns a path that begins with exactly one `/`; `/` when `text` is not one
 */
export function toReturnPath(text: string | null, publicUrl: string): string {
  if (text === null || text.length > MAX_LENGTH || !text.startsWith("/")) return HOME;
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\\\u0000-\u0020\u007f-\u{10ffff}]/u.test(text)) return HOME;
  const url = URL.parse(text, publicUrl);
  if (url === null || url.origin !== publicUrl) return HOME;
  const { pathname, search, hash } = url;
  // Looked for after dots were resolved: `/.//host` becomes `//host`.
  if (pathname.includes("//") || beforeQuery(text).includes("//")) return HOME;
  if (`${pathname}/`.startsWith(OWN_PREFIX)) return HOME;
  return `${pathname}${search}${hash}`;
}

const HOME = "/";
/** Five of them must fit into one cookie. */
const MAX_LENGTH = 512;

const beforeQuery = (text: string): string => text.split(/[?#]/, 1)[0] ?? text;
