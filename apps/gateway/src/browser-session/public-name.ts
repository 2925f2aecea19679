import type { RequestHead } from "../accept/request-head.ts";
import type { GatewayConfig } from "../config/schema.ts";
import type { ProblemAnswer } from "../forward/problem.ts";
import { isNavigation } from "../identify/other-sites.ts";
import type { Peer } from "../judge/call.ts";

/**
 * Brings people to the one name under which they can sign in: cookies hold for one host, so who opens
 * `http://127.0.0.1:8080` would never be signed in at `http://localhost:8080`.
 */
export interface PublicName {
  /** @returns undefined when the request may stay where it is */
  redirect(head: RequestHead, peer: Peer): ProblemAnswer | undefined;
}

/** @param publicUrl an origin; undefined: nobody signs in here, and everybody stays */
export function createPublicName(
  { listen, routes }: Pick<GatewayConfig, "listen" | "routes">,
  publicUrl: URL | undefined,
): PublicName {
  if (publicUrl === undefined) return { redirect: () => undefined };
  const { hostname, origin } = publicUrl;
  const others = new Set(["localhost", "127.0.0.1", "[::1]", ...listen.hosts]);
  // What routes name is served there, and nowhere else.
  for (const host of routes.flatMap(({ hosts }) => hosts ?? [])) others.delete(host.toLowerCase());
  others.delete(hostname);
  return {
    redirect(head, { isProxied }) {
      // A proxy may have a name of its own for us; sending people back to it would go round in circles.
      if (!others.has(head.host) || isProxied === true || !isNavigation(head)) return undefined;
      // RFC 9110 §15.4.8. The path is canonical, and begins with one `/`.
      const location = `${origin}${head.path}${head.query}`;
      return { status: 307, fields: ["Location", location, "Cache-Control", "no-store"], body: "" };
    },
  };
}

/** Whether people can sign in here with a browser. */
export function hasBrowserSessions({ identity }: Pick<GatewayConfig, "identity">): boolean {
  return Object.values(identity).some(
    (issuer) => issuer.kind === "oidc" && issuer.browser !== undefined,
  );
}
