import { toRetryAfterSeconds } from "@tidegate/limits";
import type { Random } from "@tidegate/clock";
import type { Fault } from "../fault.ts";
import { FAULTS } from "../fault.ts";
import { isProofDetail } from "../identify/proof-detail.ts";
import { authenticateFields } from "../identify/authenticate-fields.ts";
import { addLimitFields, violatedPolicies } from "../judge/limit-fields.ts";
import type { LimitDetail } from "../judge/limit-policy.ts";
import { REASON, REASON_BY_CODE, type ReasonKind } from "../judge/reason.ts";
import type { PenaltyDetail } from "../penalty/penalty-gate.ts";
import { addCorsFields } from "../route/cors.ts";
import type { Visit } from "../visit.ts";
import { faultProblem, refusalProblem, type ProblemAnswer } from "./problem.ts";

/** What every answer of our own needs to know. */
export interface AnswerContext {
  /** Where the pages that explain problem types are. */
  readonly typeBase: string;
  readonly random: Random;
}

/** Waits that are not known better are at least this long, so that retries do not come at once. */
const SHORTEST_RETRY_MS = 1_000;

/** The answer to a visit that was refused: `visit.refusal` on the wire. */
export function refusalAnswer(visit: Visit, { typeBase, random }: AnswerContext): ProblemAnswer {
  const { refusal, route, session, call } = visit;
  const kind = REASON_BY_CODE[refusal.reason] as ReasonKind;
  const fields: string[] = [];
  const members: Record<string, unknown> = {};
  let detail = typeof refusal.detail === "string" ? refusal.detail : undefined;
  const refused = isLimitReason(refusal.reason) ? (refusal.detail as LimitDetail) : undefined;
  if (refused !== undefined) {
    const names = violatedPolicies(refused);
    members["violated-policies"] = names;
    detail =
      refusal.reason === REASON.cost_impossible
        ? `This costs more than ${names.join(", ")} can ever hold`
        : `${names.join(", ")} is used up`;
    const seconds = toRetryAfterSeconds(refused.report, random);
    if (seconds !== undefined) fields.push("Retry-After", String(seconds));
  } else if (needsRetryAfter(kind)) {
    if (refusal.reason === REASON.penalised)
      Object.assign(members, refusal.detail as PenaltyDetail);
    fields.push("Retry-After", retryAfter(refusal.retryAfterMs, random));
  }
  if (route !== undefined && session !== undefined && call !== undefined) {
    for (const challenge of authenticateFields({
      challenges: route.challenges,
      head: visit.head,
      refusal,
    }))
      fields.push("WWW-Authenticate", challenge);
    // RFC 9449 §8.2: the nonce that the next proof must carry.
    if (isProofDetail(refusal.detail) && refusal.detail.nonce !== "")
      fields.push("DPoP-Nonce", refusal.detail.nonce);
    addLimitFields(fields, { route, session, nowMs: call.nowMs, refused });
  }
  if (route !== undefined) addCorsFields(fields, { route, origin: visit.head.origin });
  if (kind.status === 405) fields.push("Allow", visit.allow);
  if (kind.status === 426) fields.push("Upgrade", "websocket", "Sec-WebSocket-Version", "13");
  return refusalProblem(kind, { typeBase, requestId: visit.requestId, detail, members, fields });
}

/** The answer when something failed before the upstream's answer began. Details stay in the log. */
export function faultAnswer(
  visit: Visit,
  fault: Fault,
  { typeBase, random }: AnswerContext,
): ProblemAnswer {
  const fields: string[] = [];
  const { route, head } = visit;
  if (route !== undefined) addCorsFields(fields, { route, origin: head.origin });
  if (FAULTS[fault.kind].status === 503) fields.push("Retry-After", retryAfter(0, random));
  return faultProblem(fault.kind, { typeBase, requestId: visit.requestId, fields });
}

function isLimitReason(reason: number): boolean {
  return reason === REASON.limit_exceeded || reason === REASON.cost_impossible;
}

function needsRetryAfter(kind: ReasonKind): boolean {
  return kind.status === 503 || kind.status === 429;
}

// With jitter: told the same second, all refused clients would return in it.
function retryAfter(waitMs: number, random: Random): string {
  const seconds = Math.ceil(Math.max(waitMs, SHORTEST_RETRY_MS) / 1_000);
  return String(seconds + Math.floor(random.unit() * (2 + seconds / 10)));
}
