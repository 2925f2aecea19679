import { toLimitField, toViolatedPolicies, type RateLimitPolicy } from "@tidegate/limits";
import type { Route } from "../route/route.ts";
import type { Session } from "./call.ts";
import type { LimitDetail, LimitUse } from "./limit-policy.ts";

/**
 * Adds `RateLimit-Policy` and `RateLimit` to a flat list of fields: what holds on the route, and what the
 * caller has left of it. Limits whose stage the call did not reach are announced and not reported.
 *
 * @param refused the limits that refused this call; their report is read before anything is asked anew
 */
export function addLimitFields(
  fields: string[],
  {
    route,
    session,
    nowMs,
    refused,
  }: { route: Route; session: Session; nowMs: number; refused?: LimitDetail | undefined },
): void {
  if (route.limitPolicyField === "") return;
  fields.push("RateLimit-Policy", route.limitPolicyField);
  let field = refused === undefined ? "" : toLimitField(announcedBy(refused.uses), refused.report);
  for (const policy of route.limitPolicies) {
    if (policy === refused?.policy || !policy.hasBegun(session)) continue;
    const own = toLimitField(announcedBy(policy.uses), policy.peek(session, nowMs));
    field = field === "" ? own : `${field}, ${own}`;
  }
  if (field !== "") fields.push("RateLimit", field);
}

/** Names of the limits that refused, for the problem document. */
export function violatedPolicies({ uses, report }: LimitDetail): string[] {
  return toViolatedPolicies(announcedBy(uses), report);
}

const announced = new WeakMap<readonly LimitUse[], readonly RateLimitPolicy[]>();

function announcedBy(uses: readonly LimitUse[]): readonly RateLimitPolicy[] {
  let known = announced.get(uses);
  if (known === undefined) {
    known = uses.map((use) => use.announced);
    announced.set(uses, known);
  }
  return known;
}
