import type { Principal } from "@tidegate/auth";
import type { RequestHead } from "../accept/request-head.ts";
import type { Route } from "../route/route.ts";
import type { Peer } from "./call.ts";

/** Who calls, as functions of the configuration see it. What callers chose themselves is marked: anybody can say it. */
export interface Caller {
  readonly kind: Principal["kind"];
  /** Issuer URL or name; empty for anonymous callers. */
  readonly issuer: string;
  readonly subject: string;
  readonly client: string;
  readonly scopes: ReadonlySet<string>;
  readonly acr: string;
  /** The provider's `sid`; empty when it has none. */
  readonly sessionId: string;
  readonly address: string;
  /** The IPv4 address, or the /64 of the IPv6 address. */
  readonly network: string;
  /** The route's methods and pattern. */
  readonly route: string;
  /** Chosen by the caller, among what the route serves. */
  readonly method: string;
  readonly host: string;
  readonly path: string;
  /** A field of the request or handshake, all its lines; undefined when it has none. Chosen by the caller. */
  field(name: string): string | undefined;
}

/** Whose usage a limit counts, in one's own words: callers with the same text share the limit. */
export type KeyFunction = (caller: Caller) => string;

/** Gives the caller to who asks; made when the first one does, which is only where the configuration has functions. */
export interface CallerSource {
  caller(): Caller;
}

export function createCaller({
  principal,
  peer,
  route,
  head,
}: {
  readonly principal: Principal;
  readonly peer: Peer;
  readonly route: Route;
  readonly head: RequestHead;
}): Caller {
  const { kind, issuer, subject, client, scopes, acr, sessionId } = principal;
  const { method, host, path, fields } = head;
  return Object.freeze({
    kind,
    issuer,
    subject,
    client,
    scopes,
    acr,
    sessionId,
    address: peer.address,
    network: peer.network,
    route: route.id,
    method,
    host,
    path,
    field(name: string) {
      const wanted = name.toLowerCase();
      const lines: string[] = [];
      for (let at = 0; at < fields.length; at += 2)
        if (fields[at]?.toLowerCase() === wanted) lines.push(fields[at + 1] ?? "");
      return lines.length === 0 ? undefined : lines.join(", ");
    },
  });
}
