import type { AssertionSigner } from "@tidegate/auth";
import type { Clock } from "@tidegate/clock";
import type { AnswerWriter, UpgradeExchange } from "./accept/exchange.ts";
import type { Arrivals, Http1Exchange } from "./accept/http1-listener.ts";
import type { OwnEndpoints } from "./accept/own-endpoints.ts";
import type { RequestHead } from "./accept/request-head.ts";
import type { SlowBodyWatch } from "./accept/slow-body-watch.ts";
import { Fault, FAULTS } from "./fault.ts";
import { forwardRequest, type ForwardResult } from "./forward/forward-request.ts";
import { isTicketSubprotocol } from "./forward/own-ticket.ts";
import { refusalProblem, type ProblemAnswer } from "./forward/problem.ts";
import { faultAnswer, refusalAnswer, type AnswerContext } from "./forward/refusal-answer.ts";
import { buildUpstreamHead } from "./forward/upstream-head.ts";
import { CALL_KIND, type Peer } from "./judge/call.ts";
import { addLimitFields } from "./judge/limit-fields.ts";
import { REASON, REASON_BY_CODE, type ReasonKind } from "./judge/reason.ts";
import { refuseWith } from "./judge/refusal.ts";
import { beginSocket, endSession } from "./judge/session.ts";
import { VERDICT, type Verdict } from "./judge/verdict.ts";
import type { Log } from "./record/logger.ts";
import { defectFound } from "./record/events.ts";
import type { Identifiers } from "./record/identifiers.ts";
import type { Recorder } from "./record/recorder.ts";
import { chooseRequestId } from "./record/request-id.ts";
import { continueTrace } from "./record/trace-context.ts";
import { inspectHandshake } from "./relay/inspect-handshake.ts";
import { openRelay, type RelayOpening, type RelayParts } from "./relay/open-relay.ts";
import type { Road } from "./road.ts";
import type { Upstream } from "./upstream/upstream.ts";
import { Visit } from "./visit.ts";

/** What the road's ends need; made once per worker. */
export interface DataPlane {
  readonly road: Road;
  readonly servedHosts: ReadonlySet<string>;
  readonly ownEndpoints: OwnEndpoints;
  readonly upstreams: ReadonlyMap<string, Upstream>;
  readonly signer: AssertionSigner;
  readonly slowBodies: SlowBodyWatch;
  readonly relay: RelayParts;
  readonly recorder: Recorder;
  readonly identifiers: Identifiers;
  readonly answers: AnswerContext;
  readonly viaName: string;
  readonly maxInFlight: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** The beginning and the end of the road: takes what the listener hands over, and answers or passes it on. */
export class DataPlaneArrivals implements Arrivals {
  readonly #plane: DataPlane;
  /** Requests and handshakes between arrival and the end of their answer; bounded by `maxInFlight`. */
  #inFlight = 0;
  #whenIdle: (() => void) | undefined;
  /** Aborted when handshakes that are still opening must give up. */
  readonly #stopping = new AbortController();

  constructor(plane: DataPlane) {
    this.#plane = plane;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** No new work comes. @returns a promise that is kept when the last request has ended */
  drain(): Promise<void> {
    this.#stopping.abort();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#whenIdle = resolve;
    if (this.#inFlight === 0) resolve();
    return promise;
  }

  request(exchange: Http1Exchange, oddities: number): void {
    const { head, peer, answer } = exchange;
    const own = this.#plane.ownEndpoints.answer(head, this.#plane.servedHosts);
    if (own !== undefined) {
      send(answer, own);
      return;
    }
    const visit = this.#begin(CALL_KIND.request, head, peer);
    try {
      const verdict = this.#judge(visit, oddities);
      if (!(verdict instanceof Promise)) {
        this.#requestJudged(exchange, visit, verdict);
        return;
      }
      answer.listener = { clientDrained() {}, clientGone: () => visit.leave() };
      verdict
        .then((waited) => this.#requestJudged(exchange, visit, waited))
        .catch((error: unknown) => this.#requestBroken(exchange, visit, error));
    } catch (error) {
      this.#requestBroken(exchange, visit, error);
    }
  }

  upgrade(upgrade: UpgradeExchange, oddities: number): void {
    const { head, peer } = upgrade;
    const visit = this.#begin(CALL_KIND.handshake, head, peer);
    const left = (): void => visit.leave();
    upgrade.socket.once("close", left);
    void this.#openSocket(upgrade, visit, oddities)
      .catch((error: unknown) => {
        defectFound(this.#plane.log, { where: "handshake", error: toError(error) });
        upgrade.socket.destroy();
        this.#end(visit);
      })
      .finally(() => upgrade.socket.off("close", left));
  }

  refused(
    { peer, method, reason, detail }: Parameters<Arrivals["refused"]>[0],
    write: Parameters<Arrivals["refused"]>[1],
  ): void {
    const { clock, identifiers, recorder, answers } = this.#plane;
    const kind = REASON_BY_CODE[reason] as ReasonKind;
    const requestId = identifiers.long();
    const { status, fields, body } = refusalProblem(kind, {
      typeBase: answers.typeBase,
      requestId,
      detail,
    });
    const arrivedMs = clock.monotonicMs();
    write(status, fields, body);
    recorder.request({
      ...NOTHING_FORWARDED,
      kind: CALL_KIND.request,
      requestId,
      traceId: "",
      peer,
      method,
      route: undefined,
      status,
      verdict: kind.verdict,
      reason,
      durationMs: clock.monotonicMs() - arrivedMs,
    });
  }

  #begin(kind: Visit["kind"], head: RequestHead, peer: Peer): Visit {
    const { clock, identifiers } = this.#plane;
    this.#inFlight++;
    return new Visit({
      kind,
      head,
      peer,
      requestId: chooseRequestId(
        { offered: head.requestId, isTrustedPeer: peer.isProxied === true },
        identifiers,
      ),
      trace: continueTrace(head.traceparent === "" ? undefined : head.traceparent, identifiers),
      clock,
    });
  }

  #end(visit: Visit): void {
    visit.finish("failed");
    if (visit.hasEnded) return;
    visit.hasEnded = true;
    this.#inFlight--;
    if (this.#inFlight === 0) this.#whenIdle?.();
  }

  /** Host and overload, then the road. */
  #judge(visit: Visit, oddities: number): Verdict | Promise<Verdict> {
    const { servedHosts, road, maxInFlight } = this.#plane;
    if (!servedHosts.has(visit.head.host)) {
      refuseWith(visit.refusal, REASON.misdirected);
      return VERDICT.reject;
    }
    if (this.#inFlight > maxInFlight) {
      refuseWith(visit.refusal, REASON.overloaded);
      return VERDICT.shed;
    }
    return road.walk(visit, oddities);
  }

  #requestJudged(exchange: Http1Exchange, visit: Visit, verdict: Verdict): void {
    if (visit.isGone) {
      visit.finish("lost");
      const fault = new Fault("client_gone", "Cannot answer: the client went away");
      this.#recordFault(visit, FAULTS.client_gone.status, fault);
      this.#end(visit);
      return;
    }
    if (verdict === VERDICT.admit) {
      this.#forward(exchange, visit);
      return;
    }
    const status = this.#refuse(exchange.answer, visit);
    visit.finish("refused-later");
    this.#recordRefusal(visit, status, verdict);
    this.#end(visit);
  }

  #requestBroken(exchange: Http1Exchange, visit: Visit, error: unknown): void {
    defectFound(this.#plane.log, { where: "request", error: toError(error) });
    const fault = new Fault("internal", "Cannot judge the request: a defect", { cause: error });
    const problem = faultAnswer(visit, fault, this.#plane.answers);
    if (exchange.answer.isHeadSent) exchange.answer.destroy();
    else send(exchange.answer, problem);
    this.#recordFault(visit, problem.status, fault);
    this.#end(visit);
  }

  #forward(exchange: Http1Exchange, visit: Visit): void {
    const { clock, viaName, slowBodies, answers } = this.#plane;
    const route = visit.route as NonNullable<Visit["route"]>;
    const session = visit.session as NonNullable<Visit["session"]>;
    forwardRequest({
      visit,
      exchange,
      upstream: this.#upstreamOf(visit),
      viaName,
      buildHead: (framing) => this.#buildHead(visit, framing),
      addAnswerFields: (fields) => {
        fields.push("X-Request-Id", visit.requestId);
        addLimitFields(fields, { route, session, nowMs: clock.monotonicMs() });
      },
      clock,
      answerFault: (fault) => {
        const problem = faultAnswer(visit, fault, answers);
        send(exchange.answer, problem);
        return problem.status;
      },
      answerRefusal: () => this.#refuse(exchange.answer, visit),
      watchBody: (tooSlow) =>
        slowBodies.watch(exchange.body, route.config.minBodyBytesPerSecond, tooSlow),
      done: (result) => this.#forwarded(visit, result),
    });
  }

  #forwarded(visit: Visit, result: ForwardResult): void {
    const { recorder, clock } = this.#plane;
    const isRefused = result.outcome === "refused";
    const reason = isRefused ? visit.refusal.reason : REASON.none;
    visit.finish(isRefused ? "refused-later" : result.outcome);
    recorder.request({
      ...this.#facts(visit),
      status: result.status,
      verdict: isRefused ? (REASON_BY_CODE[reason] as ReasonKind).verdict : VERDICT.admit,
      reason,
      fault: result.fault?.kind,
      faultDetail: result.fault?.message,
      target: result.target,
      requestBytes: result.requestBytes,
      answerBytes: result.answerBytes,
      upstreamMs: result.upstreamMs,
      addedMs: result.addedMs,
      durationMs: clock.monotonicMs() - visit.arrivedMs,
    });
    this.#end(visit);
  }

  async #openSocket(upgrade: UpgradeExchange, visit: Visit, oddities: number): Promise<void> {
    const verdict = await this.#judge(visit, oddities);
    if (verdict !== VERDICT.admit) {
      this.#refuseUpgrade(upgrade, visit, verdict);
      return;
    }
    const { route, session, head, peer } = visit;
    const offer = inspectHandshake(head);
    if ("reason" in offer) {
      refuseWith(visit.refusal, offer.reason, { detail: offer.detail });
      this.#refuseUpgrade(upgrade, visit, VERDICT.reject);
      return;
    }
    if (route?.websocket === undefined || session === undefined)
      throw new Error("Cannot open a socket: its route offers none");
    beginSocket(route, session, peer);
    const upstream = this.#upstreamOf(visit);
    const target = upstream.choose();
    const addedMs = this.#plane.clock.monotonicMs() - visit.arrivedMs;
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
        connectionId: this.#plane.identifiers.long(),
        upstream,
        target,
        upstreamHead: (extra) => this.#buildHead(visit, extra),
        signal: this.#stopping.signal,
        ended: () => endSession(route, session),
      },
      this.#plane.relay,
    );
    this.#socketOpened(upgrade, visit, { opening, target: target.authority, addedMs });
  }

  #socketOpened(
    upgrade: UpgradeExchange,
    visit: Visit,
    { opening, target, addedMs }: { opening: RelayOpening; target: string; addedMs: number },
  ): void {
    switch (opening.kind) {
      case "open":
        visit.finish("done", { keepsSession: true });
        this.#recordHandshake(visit, {
          status: 101,
          target,
          addedMs,
          upstreamMs: opening.upstreamMs,
        });
        break;
      case "answered": {
        visit.finish("done");
        const { status, answerBytes, upstreamMs } = opening;
        this.#recordHandshake(visit, { status, target, addedMs, upstreamMs, answerBytes });
        break;
      }
      case "flooded":
        refuseWith(visit.refusal, REASON.bad_handshake, {
          detail: "Too many bytes came before the handshake was accepted",
        });
        this.#refuseUpgrade(upgrade, visit, VERDICT.reject);
        return;
      case "failed": {
        const fault = new Fault(opening.fault, opening.detail);
        const problem = faultAnswer(visit, fault, this.#plane.answers);
        if (fault.kind === "client_gone") upgrade.socket.destroy();
        else upgrade.refuse(problem.status, problem.fields, problem.body);
        visit.finish(fault.kind === "client_gone" ? "lost" : "failed");
        this.#recordFault(visit, FAULTS[fault.kind].status, fault);
        break;
      }
    }
    this.#end(visit);
  }

  #refuseUpgrade(upgrade: UpgradeExchange, visit: Visit, verdict: Verdict): void {
    const problem = refusalAnswer(visit, this.#plane.answers);
    upgrade.refuse(problem.status, problem.fields, problem.body);
    visit.finish("refused-later");
    this.#recordRefusal(visit, problem.status, verdict);
    this.#end(visit);
  }

  /** @returns the status sent */
  #refuse(answer: AnswerWriter, visit: Visit): number {
    const problem = refusalAnswer(visit, this.#plane.answers);
    const kind = REASON_BY_CODE[visit.refusal.reason] as ReasonKind;
    if (kind.closes) answer.closeAfter();
    send(answer, problem);
    return problem.status;
  }

  #buildHead(visit: Visit, extra: readonly string[]): string {
    const { signer, viaName } = this.#plane;
    const { head, peer, route, identity, trace, requestId } = visit;
    if (route === undefined || identity === undefined)
      throw new Error("Cannot forward: the call was not admitted");
    return buildUpstreamHead(
      head,
      {
        peer,
        assertion: signer.assertion(identity.principal, identity.fingerprint, route.upstream),
        traceparent: trace.traceparent,
        keepsTracestate: trace.keepsTracestate,
        requestId,
        viaName,
        forwardAuthorization: route.config.forwardAuthorization,
      },
      extra,
    );
  }

  #upstreamOf(visit: Visit): Upstream {
    const upstream = this.#plane.upstreams.get(visit.route?.upstream ?? "");
    if (upstream === undefined)
      throw new Error(`Cannot forward: no upstream for ${visit.route?.id}`);
    return upstream;
  }

  #facts(visit: Visit) {
    const { kind, requestId, trace, peer, head, route, identity } = visit;
    const principal = identity?.principal;
    return {
      kind,
      requestId,
      traceId: trace.traceId,
      peer,
      method: head.method,
      route,
      issuer: principal?.issuer ?? "",
      subject: principal?.subject ?? "",
    };
  }

  #recordRefusal(visit: Visit, status: number, verdict: Verdict): void {
    this.#plane.recorder.request({
      ...NOTHING_FORWARDED,
      ...this.#facts(visit),
      status,
      verdict,
      reason: visit.refusal.reason,
      durationMs: this.#plane.clock.monotonicMs() - visit.arrivedMs,
    });
  }

  #recordFault(visit: Visit, status: number, fault: Fault): void {
    this.#recordHandshake(visit, {
      status,
      target: "",
      addedMs: 0,
      upstreamMs: 0,
      fault: fault.kind,
      faultDetail: fault.message,
    });
  }

  #recordHandshake(
    visit: Visit,
    facts: Partial<ForwardRecord> &
      Pick<ForwardRecord, "status" | "target" | "addedMs" | "upstreamMs">,
  ): void {
    this.#plane.recorder.request({
      ...NOTHING_FORWARDED,
      ...this.#facts(visit),
      verdict: VERDICT.admit,
      reason: REASON.none,
      durationMs: this.#plane.clock.monotonicMs() - visit.arrivedMs,
      ...facts,
    });
  }
}

type ForwardRecord = Parameters<Recorder["request"]>[0];

const NOTHING_FORWARDED = {
  fault: undefined,
  faultDetail: undefined,
  issuer: "",
  subject: "",
  target: "",
  requestBytes: 0,
  answerBytes: 0,
  upstreamMs: 0,
  addedMs: 0,
} as const;

function send(answer: AnswerWriter, { status, fields, body }: ProblemAnswer): void {
  const bytes = Buffer.from(body);
  answer.head(status, fields, bytes.length);
  answer.write(bytes);
  answer.end([]);
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
