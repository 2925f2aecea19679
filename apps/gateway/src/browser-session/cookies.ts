import { SESSION_COOKIE } from "../identify/presented-credential.ts";

/** What a browser was given at the start of a sign-in. */
export const FLOW_COOKIE = `${SESSION_COOKIE}-flow`;

/**
 * The value of one cookie.
 * @returns undefined when it is not there, or there more than once: which one counts would be decided by whoever could
 *   add the other (cookie tossing)
 */
export function readCookie(field: string | undefined, name: string): string | undefined {
  if (field === undefined) return undefined;
  let found: string | undefined;
  for (const pair of field.split(";")) {
    const text = pair.trim();
    if (!text.startsWith(name) || text.charCodeAt(name.length) !== EQUALS) continue;
    if (found !== undefined) return undefined;
    found = text.slice(name.length + 1);
  }
  return found;
}

/**
 * A `Set-Cookie` value of ours. `__Host-` binds it to this very host: no other name, no plain connection (but for
 * loopback) and no other path can write it. Other ports of the host can; see `docs/sessions.md`.
 * @param value base64url text; empty to remove the cookie
 */
export function writeCookie(name: string, value: string, maxAgeSeconds: number): string {
  const lasts = value === "" ? 0 : Math.floor(maxAgeSeconds);
  return `${name}=${value}; Path=/; Max-Age=${lasts}; Secure; HttpOnly; SameSite=Lax`;
}

const EQUALS = 0x3d;
