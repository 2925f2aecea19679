import { ANONYMOUS } from "@tidegate/auth";
import type { Route } from "../route/route.ts";
import type { Peer, Session } from "./call.ts";
import type { CallerSource } from "./caller.ts";
import type { Policy } from "./policy.ts";

/** A session that nobody has been identified for yet. */
export function createSession(route: Route): Session {
  return {
    principal: ANONYMOUS,
    isOpen: true,
    slots: new Int32Array(route.slotCount).fill(-1),
    held: undefined,
  };
}

/** Tells policies that a session begins. `end` must follow, whatever happens. */
export function beginPolicies(
  policies: readonly Policy[],
  { session, peer, source }: Beginning,
): void {
  for (const policy of policies) policy.begin?.(session, peer, source);
}

/** Whose session begins. */
export interface Beginning {
  readonly session: Session;
  readonly peer: Peer;
  /** Asked by functions of the configuration. */
  readonly source?: CallerSource;
}

/** Tells the policies of messages that a socket begins. */
export function beginSocket(route: Route, beginning: Beginning): void {
  for (const direction of route.websocket?.policies ?? [])
    for (const policies of direction) beginPolicies(policies, beginning);
}

/** Tells every policy of the route that the session is over. Safe for those that never began. */
export function endSession(route: Route, session: Session): void {
  const { address, identity, principal, body, capacity } = route.policies;
  endPolicies(address, session);
  endPolicies(identity, session);
  endPolicies(principal, session);
  endPolicies(body, session);
  endPolicies(capacity, session);
  for (const direction of route.websocket?.policies ?? NO_DIRECTIONS)
    for (const policies of direction) endPolicies(policies, session);
}

function endPolicies(policies: readonly Policy[], session: Session): void {
  for (let at = 0; at < policies.length; at++) policies[at]?.end?.(session);
}

const NO_DIRECTIONS: readonly (readonly (readonly Policy[])[])[] = [];
