import type { Clock } from "@tidegate/clock";
import { oddityBitsOf } from "./route/canonical-path.ts";
import { routeForMethod, type RouteTable } from "./route/route-table.ts";
import type { Route } from "./route/route.ts";
import { checkLevel } from "./identify/check-level.ts";
import type { Identifier, Identity } from "./identify/identifier.ts";
import { isProofDetail } from "./identify/proof-detail.ts";
import { isFromForbiddenSite } from "./identify/other-sites.ts";
import { CALL_KIND } from "./judge/call.ts";
import { judgeCall } from "./judge/judge-call.ts";
import { REASON, REASON_BY_CODE, type ReasonCode } from "./judge/reason.ts";
import { refuseWith, type Refusal } from "./judge/refusal.ts";
import { beginPolicies } from "./judge/session.ts";
import { VERDICT, type Verdict } from "./judge/verdict.ts";
import type { Stage } from "./judge/policy.ts";
import type { PenaltyGate } from "./penalty/penalty-gate.ts";
import type { Strikes } from "./penalty/strikes.ts";
import type { Revocations } from "./revocation/revocations.ts";
import type { Visit } from "./visit.ts";

/**
 * The one order of judging, for requests and handshakes alike; messages walk its last steps in the relay.
 *
 * 1 shape, host, canonical path (`accept/`) · 2 route and method · 3 address limits · 4 other sites ·
 * 5 credential · 6 revocation · 7 penalty box, then the duty to sign in again · 8 scope and level ·
 * 9 the principal's limits · 10 body · then forward or relay.
 */
export interface Road {
  /**
   * Walks the visit until it is admitted or refused; `visit.refusal` then says why.
   * Synchronous unless a credential must be verified or a policy has to wait.
   * @param oddities bits of `ODDITY` found in the path
   */
  walk(visit: Visit, oddities: number): Verdict | Promise<Verdict>;
  /**
   * Walks steps 3 to 8 with the rules of `route` for somebody who asks for leave to use it later: who they are and
   * whether they may, without charging what they will be charged then. Address limits are charged.
   */
  vouch(visit: Visit, route: Route): Verdict | Promise<Verdict>;
}

export function createRoad({
  table,
  identifier,
  allowedOrigins,
  viaName,
  clock,
  revocations,
  penalties,
  strikes,
}: {
  table: RouteTable;
  identifier: Identifier;
  /** Web origins that are ours, beside a route's own. */
  allowedOrigins: ReadonlySet<string>;
  viaName: string;
  /** Its wall time is what the age of a sign-in is measured against. */
  clock: Clock;
  revocations: Revocations;
  /** Undefined: nobody is ever boxed. */
  penalties?: PenaltyGate | undefined;
  strikes?: Strikes | undefined;
}): Road {
  return {
    walk(visit, oddities) {
      const route = findRoute(visit, oddities);
      if (route === undefined) return verdictOf(visit);
      visit.enter(route);
      const verdict = chain(passStage(visit, route, "address"), () => identifyCaller(visit, route));
      return strikes === undefined ? verdict : countRefusal(strikes, visit, verdict);
    },
    vouch(visit, route) {
      visit.enter(route);
      const isEnough = (): Verdict => VERDICT.admit;
      return chain(passStage(visit, route, "address"), () =>
        identifyCaller(visit, route, isEnough),
      );
    },
  };

  /** Step 2. A refusal stands in the visit when there is no route for it. */
  function findRoute(visit: Visit, oddities: number): Route | undefined {
    const { head, kind } = visit;
    if (head.via?.includes(viaName) === true) return refuse(visit, REASON.forwarding_loop);
    const place = table.find(head.host, head.path);
    if (place === undefined) return refuse(visit, REASON.route_unknown);
    const route = kind === CALL_KIND.handshake ? place.socket : routeForMethod(place, head.method);
    if (route === undefined) {
      visit.allow = place.allow;
      if (kind === CALL_KIND.handshake) return refuse(visit, REASON.upgrade_not_offered);
      return refuse(
        visit,
        place.allow === "" ? REASON.upgrade_required : REASON.method_not_allowed,
      );
    }
    if ((oddities & ~oddityBitsOf(route.config.allowInPath)) !== 0)
      return refuse(visit, REASON.bad_path);
    return route;
  }

  /** Steps 4 and 5. */
  function identifyCaller(
    visit: Visit,
    route: Route,
    next?: () => Verdict,
  ): Verdict | Promise<Verdict> {
    const { head, peer, refusal } = visit;
    if (isFromForbiddenSite({ head, route, kind: visit.kind, allowedOrigins })) {
      refuse(visit, REASON.origin_refused);
      return verdictOf(visit);
    }
    const isBoxed = route.config.auth !== "none" && penalties?.isAddressBoxed(peer) === true;
    const mayVerify = isBoxed ? () => penalties.mayVerify(peer) : undefined;
    const identity = identifier.identify(
      { head, route, peer, kind: visit.kind, mayVerify },
      refusal,
      visit,
    );
    if (!(identity instanceof Promise)) return afterIdentity(visit, route, { identity, next });
    const { epoch } = revocations;
    return identity.then((found) => {
      // Revoked while it was checked: a check that began before does not count any more.
      const isEarlier = found !== undefined && revocations.epoch !== epoch;
      if (isEarlier && revocations.refusesEarlier(found.principal)) {
        refuse(visit, REASON.session_revoked);
        return verdictOf(visit);
      }
      return afterIdentity(visit, route, { identity: found, next });
    });
  }

  /** Steps 6 to 10. */
  function afterIdentity(
    visit: Visit,
    route: Route,
    { identity, next }: { identity: Identity | undefined; next: (() => Verdict) | undefined },
  ): Verdict | Promise<Verdict> {
    const { session, refusal } = visit;
    if (identity === undefined || session === undefined) {
      // An address box is for those who show nothing good: what they show is not looked at any further.
      if (isStranger(refusal) && penalties?.isAddressBoxed(visit.peer) === true)
        penalties.refuseAddress(visit.peer, refusal);
      return verdictOf(visit);
    }
    visit.identity = identity;
    session.principal = identity.principal;
    const { epoch } = revocations;
    const penaltyEpoch = penalties?.epoch;
    if (revocations.refuses(identity.principal)) {
      refuse(visit, REASON.session_revoked);
      return verdictOf(visit);
    }
    const caller = { principal: identity.principal, peer: visit.peer, route };
    if (penalties?.refuses(caller, refusal) === true) return verdictOf(visit);
    if (!checkLevel({ route, principal: identity.principal, nowMs: clock.wallMs() }, refusal))
      return verdictOf(visit);
    if (next !== undefined) return next();
    return chain(passStage(visit, route, "principal"), () =>
      chain(checkBody(visit, route), () =>
        chain(passStage(visit, route, "capacity"), () => {
          // Revoked or boxed while this call waited: an older answer does not count any more.
          if (revocations.epoch !== epoch && revocations.refusesEarlier(identity.principal)) {
            refuse(visit, REASON.session_revoked);
            return verdictOf(visit);
          }
          const isStale = penalties !== undefined && penalties.epoch !== penaltyEpoch;
          return isStale && penalties.refuses(caller, refusal) ? verdictOf(visit) : admit(visit);
        }),
      ),
    );
  }
}

/** What a limit refused may come to a strike. */
function countRefusal(
  strikes: Strikes,
  visit: Visit,
  verdict: Verdict | Promise<Verdict>,
): Verdict | Promise<Verdict> {
  if (verdict === VERDICT.throttle) strikes.call(visit);
  if (!(verdict instanceof Promise)) return verdict;
  return verdict.then((waited) => {
    if (waited === VERDICT.throttle) strikes.call(visit);
    return waited;
  });
}

function admit(visit: Visit): Verdict {
  // The size of a chunked body is found out while it is forwarded, and may still refuse the call.
  if (visit.head.bodyBytes >= 0) visit.commit();
  return VERDICT.admit;
}

/** Whether a call shows nothing good. Who must only put a nonce into their proof has shown a good token. */
function isStranger({ reason, detail }: Refusal): boolean {
  if (reason === REASON.credential_missing) return true;
  return reason === REASON.credential_invalid && !(isProofDetail(detail) && detail.nonce !== "");
}

/** Step 10, as far as it can be told from the head. */
function checkBody(visit: Visit, route: Route): Verdict | Promise<Verdict> {
  if (visit.head.bodyBytes > route.config.maxBodyBytes) {
    refuse(visit, REASON.body_too_large);
    return verdictOf(visit);
  }
  return passStage(visit, route, "body");
}

function passStage(visit: Visit, route: Route, stage: Stage): Verdict | Promise<Verdict> {
  const policies = route.policies[stage];
  const { call, session } = visit;
  if (policies.length === 0 || call === undefined || session === undefined) return VERDICT.admit;
  beginPolicies(policies, { session, peer: visit.peer, source: visit });
  return chain(judgeCall(policies, call, visit.refusal, visit), () => {
    visit.admittedBy(policies);
    return VERDICT.admit;
  });
}

// Goes on without a promise where there is none, which is nearly always.
function chain(
  verdict: Verdict | Promise<Verdict>,
  next: () => Verdict | Promise<Verdict>,
): Verdict | Promise<Verdict> {
  if (verdict === VERDICT.admit) return next();
  if (!(verdict instanceof Promise)) return verdict;
  return verdict.then((waited) => (waited === VERDICT.admit ? next() : waited));
}

function refuse(visit: Visit, reason: ReasonCode): undefined {
  refuseWith(visit.refusal, reason);
}

function verdictOf(visit: Visit): Verdict {
  return REASON_BY_CODE[visit.refusal.reason]?.verdict ?? VERDICT.reject;
}
