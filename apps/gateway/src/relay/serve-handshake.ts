import type { UpgradeExchange } from "../accept/exchange.ts";
import { upstreamHeadOf, upstreamOf, type DataPlane } from "../data-plane.ts";
import { Fault, FAULTS } from "../fault.ts";
import { isTicketSubprotocol } from "../ticket/presented-ticket.ts";
import { faultAnswer, refusalAnswer } from "../forward/refusal-answer.ts";
import { REASON, REASON_BY_CODE, type ReasonKind } from "../judge/reason.ts";
import { refuseWith } from "../judge/refusal.ts";
import { beginSocket, endSession } from "../judge/session.ts";
import { VERDICT, type Verdict } from "../judge/verdict.ts";
import { recordAdmitted, recordRefused } from "../record/record-visit.ts";
import type { Visit } from "../visit.ts";
import { endingOfRefusal, endingOfUpstreamRefusal } from "./ending.ts";
import { inspectHandshake } from "./inspect-handshake.ts";
import { openRelay, type RelayOpening } from "./open-relay.ts";
import { readRetryAfter } from "./retry-after.ts";

/**
 * Opens or refuses a handshake that was judged, and records it. When it resolves, the handshake is over; an open
 * socket goes on by itself. @param signal aborted when the gateway stops before the relay is open
 */
export async function serveHandshake(
  plane: DataPlane,
  {
    upgrade,
    visit,
    verdict,
    signal,
  }: { upgrade: UpgradeExchange; visit: Visit; verdict: Verdict; signal: AbortSignal },
): Promise<void> {
  if (verdict !== VERDICT.admit) {
    if (!closeRefused(plane, upgrade, visit)) refuse(plane, upgrade, visit);
    return;
  }
  const { route, session, head, peer } = visit;
  const offer = inspectHandshake(head);
  if ("reason" in offer) {
    refuseWith(visit.refusal, offer.reason, { detail: offer.detail });
    refuse(plane, upgrade, visit);
    return;
  }
  if (route?.websocket === undefined || session === undefined)
    throw new Error("Cannot open a socket: its route offers none");
  const { closeProfile } = route.websocket.config;
  beginSocket(route, { session, peer, source: visit });
  const upstream = upstreamOf(plane, visit);
  const target = upstream.choose();
  const addedMs = plane.clock.monotonicMs() - visit.arrivedMs;
  const opening = await openRelay(
    {
      upgrade,
      offer: {
        ...offer,
        subprotocols: offer.subprotocols.filter((name) => !isTicketSubprotocol(name)),
      },
      route,
      rules: route.websocket,
      session,
      requestId: visit.requestId,
      traceId: visit.trace.traceId,
      // Who came with a ticket knows its name already.
      connectionId: visit.identity?.connectionId ?? plane.identifiers.long(),
      upstream,
      target,
      upstreamHead: (extra) => upstreamHeadOf(plane, visit, extra),
      signal,
      closeRefused(answer, earlyBytes) {
        const retryAfterSeconds = readRetryAfter(answer.fields, plane.clock.wallMs());
        const { status } = answer;
        const ending = endingOfUpstreamRefusal({ status, retryAfterSeconds }, closeProfile);
        if (ending === undefined) return undefined;
        const { principal } = session;
        return plane.handshakeCloser.close(
          { upgrade, route, principal, requestId: visit.requestId, earlyBytes },
          ending.toClient,
        );
      },
      ended: () => endSession(route, session),
    },
    plane.relay,
  );
  conclude(plane, { upgrade, visit, opening, target: target.authority, addedMs });
}

/** Answers a handshake that was not begun because of a fault. */
export function refuseFault(
  plane: DataPlane,
  { upgrade, visit, fault }: { upgrade: UpgradeExchange; visit: Visit; fault: Fault },
): void {
  const problem = faultAnswer(visit, fault, plane.answers);
  upgrade.refuse(problem.status, problem.fields, problem.body);
  recordAdmitted(plane, visit, { status: problem.status, fault });
}

function conclude(
  plane: DataPlane,
  {
    upgrade,
    visit,
    opening,
    ...facts
  }: {
    upgrade: UpgradeExchange;
    visit: Visit;
    opening: RelayOpening;
    target: string;
    addedMs: number;
  },
): void {
  switch (opening.kind) {
    case "open":
      visit.finish("done", { keepsSession: true });
      recordAdmitted(plane, visit, { ...facts, status: 101, upstreamMs: opening.upstreamMs });
      break;
    case "answered": {
      visit.finish("done");
      const { status, answerBytes, upstreamMs } = opening;
      recordAdmitted(plane, visit, { ...facts, status, answerBytes, upstreamMs });
      break;
    }
    case "closed": {
      visit.finish("done");
      const { status, closeCode, upstreamMs } = opening;
      recordAdmitted(plane, visit, { ...facts, status, closeCode, upstreamMs });
      break;
    }
    case "flooded":
      refuseWith(visit.refusal, REASON.bad_handshake, {
        detail: "Too many bytes came before the handshake was accepted",
      });
      refuse(plane, upgrade, visit);
      break;
    case "failed": {
      const fault = new Fault(opening.fault, opening.detail);
      const isGone = fault.kind === "client_gone";
      const problem = faultAnswer(visit, fault, plane.answers);
      if (isGone) upgrade.socket.destroy();
      else upgrade.refuse(problem.status, problem.fields, problem.body);
      visit.finish(isGone ? "lost" : "failed");
      recordAdmitted(plane, visit, { ...facts, status: FAULTS[fault.kind].status, fault });
      break;
    }
  }
}

/** Tells a page by a close code, where one is told so. @returns whether it was */
function closeRefused(plane: DataPlane, upgrade: UpgradeExchange, visit: Visit): boolean {
  const { route, session, refusal, requestId } = visit;
  if (route?.websocket === undefined || session === undefined) return false;
  const { toClient } = endingOfRefusal(refusal, route.websocket.config.closeProfile);
  const { principal } = session;
  const closeCode = plane.handshakeCloser.close(
    { upgrade, route, principal, requestId, earlyBytes: upgrade.early.length },
    toClient,
  );
  if (closeCode === undefined) return false;
  visit.finish("refused-later");
  const { status } = REASON_BY_CODE[refusal.reason] as ReasonKind;
  recordRefused(plane, visit, { status, closeCode });
  return true;
}

function refuse(plane: DataPlane, upgrade: UpgradeExchange, visit: Visit): void {
  const problem = refusalAnswer(visit, plane.answers);
  upgrade.refuse(problem.status, problem.fields, problem.body);
  visit.finish("refused-later");
  recordRefused(plane, visit, { status: problem.status });
}
