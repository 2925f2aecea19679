import type { AnswerWriter } from "../accept/exchange.ts";
import type { Http1Exchange } from "../accept/http1-listener.ts";
import { upstreamHeadOf, upstreamOf, type DataPlane } from "../data-plane.ts";
import { Fault, FAULTS } from "../fault.ts";
import { addLimitFields } from "../judge/limit-fields.ts";
import { REASON_BY_CODE, type ReasonKind } from "../judge/reason.ts";
import { addCorsFields } from "../route/cors.ts";
import { VERDICT, type Verdict } from "../judge/verdict.ts";
import { upstreamFailed } from "../record/events.ts";
import { recordAdmitted, recordRefused } from "../record/record-visit.ts";
import type { Visit } from "../visit.ts";
import { forwardRequest, type ForwardResult } from "./forward-request.ts";
import type { ProblemAnswer } from "./problem.ts";
import { faultAnswer, refusalAnswer } from "./refusal-answer.ts";

/** Forwards or refuses a request that was judged, and records it. @param ended called once, at its very end */
export function serveRequest(
  plane: DataPlane,
  {
    exchange,
    visit,
    verdict,
    ended,
  }: { exchange: Http1Exchange; visit: Visit; verdict: Verdict; ended: () => void },
): void {
  if (visit.isGone) {
    visit.finish("lost");
    const fault = new Fault("client_gone", "Cannot answer: the client went away");
    recordAdmitted(plane, visit, { status: FAULTS.client_gone.status, fault });
    ended();
  } else if (verdict === VERDICT.admit) {
    forward(plane, { exchange, visit, ended });
  } else {
    const status = refuse(plane, exchange.answer, visit);
    visit.finish("refused-later");
    recordRefused(plane, visit, { status });
    ended();
  }
}

/** Answers a request that met a defect of ours. */
export function serveDefect(
  plane: DataPlane,
  { exchange, visit, error }: { exchange: Http1Exchange; visit: Visit; error: unknown },
): void {
  const fault =
    error instanceof Fault
      ? error
      : new Fault("internal", "Cannot judge the request: a defect", { cause: error });
  const problem = faultAnswer(visit, fault, plane.answers);
  if (exchange.answer.isHeadSent) exchange.answer.destroy();
  else sendWhole(exchange.answer, problem);
  recordAdmitted(plane, visit, { status: problem.status, fault });
}

/** Writes an answer of our own. */
export function sendWhole(answer: AnswerWriter, { status, fields, body }: ProblemAnswer): void {
  const bytes = Buffer.from(body);
  answer.head(status, fields, bytes.length);
  answer.write(bytes);
  answer.end([]);
}

function forward(
  plane: DataPlane,
  { exchange, visit, ended }: { exchange: Http1Exchange; visit: Visit; ended: () => void },
): void {
  const { clock, viaName, slowBodies, answers, liveSessions } = plane;
  const { route, session } = visit;
  if (route === undefined || session === undefined)
    throw new Error("Cannot forward: the call was not admitted");
  forwardRequest({
    visit,
    session,
    liveSessions,
    exchange,
    upstream: upstreamOf(plane, visit),
    viaName,
    buildHead: (framing) => upstreamHeadOf(plane, visit, framing),
    addAnswerFields: (fields) => {
      fields.push("X-Request-Id", visit.requestId);
      addLimitFields(fields, { route, session, nowMs: clock.monotonicMs() });
      addCorsFields(fields, { route, origin: visit.head.origin });
    },
    clock,
    answerFault: (fault) => {
      const problem = faultAnswer(visit, fault, answers);
      sendWhole(exchange.answer, problem);
      return problem.status;
    },
    answerRefusal: () => refuse(plane, exchange.answer, visit),
    watchBody: (tooSlow) =>
      slowBodies.watch(exchange.body, route.config.minBodyBytesPerSecond, tooSlow),
    retried: (fault, { authority }) =>
      upstreamFailed(plane.log, {
        upstream: route.upstream,
        target: authority,
        fault: fault.kind,
        detail: fault.message,
        requestId: visit.requestId,
      }),
    done: (result) => {
      record(plane, visit, result);
      ended();
    },
  });
}

/** @returns the status sent */
function refuse({ answers }: DataPlane, answer: AnswerWriter, visit: Visit): number {
  const problem = refusalAnswer(visit, answers);
  const kind = REASON_BY_CODE[visit.refusal.reason] as ReasonKind;
  if (kind.closes) answer.closeAfter();
  sendWhole(answer, problem);
  return problem.status;
}

function record(plane: DataPlane, visit: Visit, result: ForwardResult): void {
  const { outcome } = result;
  if (outcome === "refused") {
    // A body of unknown length was over a limit of bytes while it was forwarded.
    plane.penalties?.strikes.call(visit);
    visit.finish("refused-later");
    recordRefused(plane, visit, result);
  } else {
    visit.finish(outcome);
    recordAdmitted(plane, visit, result);
  }
}
