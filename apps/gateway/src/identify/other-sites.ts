import type { RequestHead } from "../accept/request-head.ts";
import { CALL_KIND, type CallKind } from "../judge/call.ts";
import type { RouteConfig } from "../config/schema.ts";
import { hasSessionCookie, isAmbient } from "./presented-credential.ts";

/**
 * Step 4 of the road: whether another web site may be behind this call. The session cookie and Basic are ambient:
 * browsers add them to whatever any page asks for (cross-site request forgery, cross-site WebSocket hijacking). A
 * bearer token is not, so ordinary requests with one may come from anywhere.
 * @param request.allowedOrigins our own web origins, beside those of the route
 * @returns true when the call must be refused as `origin_refused`
 */
export function isFromForbiddenSite({
  head,
  route,
  kind,
  allowedOrigins,
}: {
  readonly head: RequestHead;
  readonly route: { readonly config: SiteRules };
  readonly kind: CallKind;
  readonly allowedOrigins: ReadonlySet<string>;
}): boolean {
  const isHandshake = kind === CALL_KIND.handshake;
  // Most calls: no handshake, nothing ambient.
  if (!isHandshake && !isAmbient(head)) return false;

  // Compared as text: browsers send the origin in one form only, and any other form is not from one. `null` (files,
  // sandboxed frames) is in no list.
  const { origin } = head;
  const isAllowed =
    origin !== undefined && isAllowedOrigin(origin, { config: route.config, allowedOrigins });
  // Whoever sends an Origin is a browser or pretends to be one. Browsers leave it out of plain GETs only.
  const isForeign = origin !== undefined && !isAllowed;

  if (isHandshake) {
    // The same-origin policy does not hold for WebSocket, so the Origin is all there is (RFC 6455 §10.2), and a
    // handshake with a cookie and no Origin is no browser's of today.
    return isForeign || (origin === undefined && hasSessionCookie(head.cookie));
  }
  const isOtherSite = head.secFetchSite === "cross-site" || head.secFetchSite === "same-site";
  if (SAFE_METHODS.has(head.method)) {
    // Reading across sites: only where the route lets that origin in. `same-site` is another site too: every port of
    // one host, and every sibling host, is.
    return isOtherSite && !isAllowed && !(route.config.navigable && isNavigation(head));
  }
  if (isForeign || (isOtherSite && !isAllowed)) return true;
  // A form cannot send a field of its own, and scripts of other origins need our leave for one.
  return hasSessionCookie(head.cookie) && (origin === undefined || !head.hasCsrfField);
}

/** What a route says about other sites. */
export type SiteRules = Pick<RouteConfig, "origins" | "cors" | "navigable">;

/**
 * A person follows a link or types an address: their browser shows the answer, and no other page can read it. Frames
 * navigate too, inside pages of others, so what is loaded must be a document of its own (clickjacking).
 */
export function isNavigation({
  method,
  secFetchMode,
  secFetchDest,
}: Pick<RequestHead, "method" | "secFetchMode" | "secFetchDest">): boolean {
  return (
    (method === "GET" || method === "HEAD") &&
    secFetchMode === "navigate" &&
    (secFetchDest === undefined || secFetchDest === "document")
  );
}

/** Whether pages of `origin` may call with ambient credentials, and open sockets. */
export function isAllowedOrigin(
  origin: string,
  {
    config: { origins, cors },
    allowedOrigins,
  }: { readonly config: SiteRules; readonly allowedOrigins: ReadonlySet<string> },
): boolean {
  return (
    allowedOrigins.has(origin) ||
    origins.includes(origin) ||
    (cors?.credentials === true && cors.origins.includes(origin))
  );
}

/** RFC 9110 §9.2.1. */
const SAFE_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);
