import { hash } from "node:crypto";
import type { Principal } from "@tidegate/auth";
import { callerKey } from "@tidegate/limits";
import type { KeyPart } from "../config/limit-schema.ts";
import { kindOf } from "../config/show-value.ts";
import { Fault } from "../fault.ts";
import type { Peer, Session } from "./call.ts";
import type { CallerSource, KeyFunction } from "./caller.ts";

/** Whose usage a limit counts, where it is used. */
export interface LimitKey {
  /** What callers are told apart by; all of them together. Empty where a function says it. */
  readonly parts: readonly KeyPart[];
  readonly own: OwnKey | undefined;
  /** What the part `route` is: a limit that holds on many routes tells them apart. */
  readonly route: string;
}

/** A function of the configuration. */
export interface OwnKey {
  /** Where it stands, such as `routes[3].limits[0].per`. */
  readonly place: string;
  readonly call: KeyFunction;
}

/**
 * Before identification only what the connection shows can be charged. What is shared (a route's whole budget) is not
 * open to strangers, who could use it up for everybody.
 */
export function isKnownEarly({ parts }: Pick<LimitKey, "parts">): boolean {
  if (parts.some((part) => part === "user" || part === "client" || part === "session"))
    return false;
  return parts.includes("address") || parts.includes("connection");
}

/**
 * Whether nobody but this caller can use the limit up. Callers without a credential are their address.
 * @param isSocket whether a connection carries this caller alone
 */
export function isOwnLimit(
  { parts }: Pick<LimitKey, "parts">,
  { kind }: Pick<Principal, "kind">,
  { isSocket }: { isSocket: boolean },
): boolean {
  return parts.some((part) => {
    switch (part) {
      case "user":
      case "session":
        return true;
      case "client":
        return kind === "client" || kind === "anonymous";
      case "address":
        return kind === "anonymous";
      case "connection":
        return isSocket;
      case "route":
        return false;
    }
  });
}

/**
 * The name that the limit engine counts by.
 * @throws {Fault} `function_failed` when an own function threw, or gave no text
 */
export function keyOf(
  { parts, own, route }: LimitKey,
  { session, peer, source }: { session: Session; peer: Peer; source: CallerSource | undefined },
): string {
  if (own !== undefined) return ownKey(own, source);
  const [first, ...others] = parts;
  if (first !== undefined && others.length === 0) return partOf(first, session, peer, route);
  return callerKey("all", ...parts.map((part) => partOf(part, session, peer, route)));
}

/** Who is charged: a person is (issuer, subject); callers without a credential are told apart by address. */
export function principalKey(principal: Principal, peer: Peer): string {
  switch (principal.kind) {
    case "anonymous":
      return `address ${peer.network}`;
    case "person":
    case "key":
      return `person ${principal.issuer}\n${principal.subject}`;
    case "client":
      return `client ${principal.issuer}\n${principal.client}`;
  }
}

function partOf(part: KeyPart, { principal }: Session, peer: Peer, route: string): string {
  const { issuer, client, sessionId } = principal;
  switch (part) {
    case "user":
      return principalKey(principal, peer);
    case "client":
      return client === "" ? principalKey(principal, peer) : `client ${issuer}\n${client}`;
    case "session":
      // Without a name for it the person is charged: a token's own id would be a new budget with every refresh.
      return sessionId === "" ? principalKey(principal, peer) : `session ${issuer}\n${sessionId}`;
    case "address":
      return peer.network;
    case "connection":
      return String(peer.connectionNumber);
    case "route":
      return route;
  }
}

function ownKey({ place, call }: OwnKey, source: CallerSource | undefined): string {
  if (source === undefined) throw new Error(`Cannot ask ${place}: nobody knows the caller`);
  let text: unknown;
  try {
    text = call(source.caller());
  } catch (cause) {
    throw new Fault("function_failed", `Cannot name the caller: ${place} threw ${String(cause)}`, {
      cause,
    });
  }
  if (typeof text !== "string")
    throw new Fault(
      "function_failed",
      `Cannot name the caller: ${place} gave ${kindOf(text)}, not text`,
    );
  // Hashed, because it may be what nobody else should read: it goes to the shared store. Cut, because callers may
  // choose it; who makes it longer than this gains nothing over who makes it different.
  return `own ${hash("sha256", text.slice(0, LONGEST_OWN_KEY), "base64url")}`;
}

const LONGEST_OWN_KEY = 1_024;
