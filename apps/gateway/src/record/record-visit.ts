import type { Clock } from "@tidegate/clock";
import type { Fault } from "../fault.ts";
import { REASON, REASON_BY_CODE, type ReasonKind } from "../judge/reason.ts";
import { VERDICT } from "../judge/verdict.ts";
import type { Visit } from "../visit.ts";
import type { Recorder, RequestRecord } from "./recorder.ts";

/** What forwarding found out; all of it is empty for a call that never got so far. */
export type ForwardFacts = Pick<
  RequestRecord,
  "target" | "requestBytes" | "answerBytes" | "upstreamMs" | "addedMs" | "closeCode"
>;

interface Parts {
  readonly recorder: Recorder;
  readonly clock: Clock;
}

/** Records a visit that was admitted. @param fault what then went wrong, if anything */
export function recordAdmitted(
  { recorder, clock }: Parts,
  visit: Visit,
  facts: Partial<ForwardFacts> & { readonly status: number; readonly fault?: Fault | undefined },
): void {
  recorder.request(
    toRecord(visit, clock, { ...facts, verdict: VERDICT.admit, reason: REASON.none }),
  );
}

/** Records a visit that was refused: the reason stands in `visit.refusal`. */
export function recordRefused(
  { recorder, clock }: Parts,
  visit: Visit,
  facts: Partial<ForwardFacts> & { readonly status: number },
): void {
  const { reason } = visit.refusal;
  const { verdict } = REASON_BY_CODE[reason] as ReasonKind;
  recorder.request(toRecord(visit, clock, { ...facts, verdict, reason }));
}

function toRecord(
  { kind, requestId, trace, peer, head, route, identity, arrivedMs }: Visit,
  clock: Clock,
  facts: Partial<ForwardFacts> &
    Pick<RequestRecord, "status" | "verdict" | "reason"> & { readonly fault?: Fault | undefined },
): RequestRecord {
  return {
    kind,
    requestId,
    traceId: trace.traceId,
    peer,
    method: head.method,
    route,
    status: facts.status,
    closeCode: facts.closeCode ?? 0,
    verdict: facts.verdict,
    reason: facts.reason,
    fault: facts.fault?.kind,
    faultDetail: facts.fault?.message,
    issuer: identity?.principal.issuer ?? "",
    subject: identity?.principal.subject ?? "",
    target: facts.target ?? "",
    requestBytes: facts.requestBytes ?? 0,
    answerBytes: facts.answerBytes ?? 0,
    durationMs: clock.monotonicMs() - arrivedMs,
    upstreamMs: facts.upstreamMs ?? 0,
    addedMs: facts.addedMs ?? 0,
  };
}
