import { API_KEY_PREFIX } from "@tidegate/auth";
import type { RequestHead } from "../accept/request-head.ts";

/** The kinds of credential that are known. */
export type CredentialName = "bearer" | "dpop" | "basic" | "key" | "session" | "ticket";

/**
 * Which credential a call carries. Two different ones at once are ambiguous: which of them counts would be our
 * choice, and an attacker who can add one (a cookie from a sibling host, say) would make it for the victim.
 */
export function kindOfCredential({
  authorization,
  cookie,
}: CredentialFields): CredentialName | "none" | "other" | "ambiguous" {
  const hasSession = hasSessionCookie(cookie);
  if (authorization === undefined) return hasSession ? "session" : "none";
  if (hasSession) return "ambiguous";
  const scheme = kindOfScheme(authorization);
  return scheme === "bearer" && credentialText(authorization).startsWith(API_KEY_PREFIX)
    ? "key"
    : scheme;
}

export type CredentialFields = Pick<RequestHead, "authorization" | "cookie">;

/** What stands behind the scheme, blanks left out. */
export function credentialText(authorization: string): string {
  const blank = authorization.indexOf(" ");
  if (blank < 0) return "";
  // RFC 9110 §11.4: one or more blanks.
  let start = blank + 1;
  while (authorization.charCodeAt(start) === BLANK) start++;
  return authorization.slice(start);
}

/** Whether credentials that browsers add by themselves are there: another site can make them be sent. */
export function isAmbient({ authorization, cookie }: CredentialFields): boolean {
  return (
    hasSessionCookie(cookie) ||
    (authorization !== undefined && kindOfScheme(authorization) === "basic")
  );
}

/** The browser session's cookie. */
export const SESSION_COOKIE = "__Host-tidegate";

/** Names of cookies compare with case (RFC 6265 §5.4), and a name that only begins so is another cookie. */
export function hasSessionCookie(cookie: string | undefined): boolean {
  if (cookie === undefined) return false;
  let at = cookie.indexOf(SESSION_COOKIE);
  while (at >= 0) {
    if (beginsPair(cookie, at) && cookie.charCodeAt(at + SESSION_COOKIE.length) === EQUALS)
      return true;
    at = cookie.indexOf(SESSION_COOKIE, at + 1);
  }
  return false;
}

function beginsPair(cookie: string, at: number): boolean {
  let before = at - 1;
  while (before >= 0 && isBlank(cookie.charCodeAt(before))) before--;
  return before < 0 || cookie.charCodeAt(before) === SEMICOLON;
}

/** Which kind an Authorization field is of, by its scheme. */
export function kindOfScheme(authorization: string): "bearer" | "dpop" | "basic" | "other" {
  // The spelling of nearly all clients, without a copy.
  if (authorization.startsWith("Bearer ")) return "bearer";
  const blank = authorization.indexOf(" ");
  const scheme = (blank < 0 ? authorization : authorization.slice(0, blank)).toLowerCase();
  return scheme === "bearer" || scheme === "dpop" || scheme === "basic" ? scheme : "other";
}

const BLANK = 0x20;
const TAB = 0x09;
const EQUALS = 0x3d;
const SEMICOLON = 0x3b;
const isBlank = (code: number): boolean => code === BLANK || code === TAB;
