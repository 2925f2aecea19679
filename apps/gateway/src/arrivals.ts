import type { OwnEndpoint } from "./accept/own-endpoint.ts";
import type { UpgradeExchange } from "./accept/exchange.ts";
import type { Arrivals, Http1Exchange } from "./accept/http1-listener.ts";
import type { RequestHead } from "./accept/request-head.ts";
import type { DataPlane } from "./data-plane.ts";
import { Fault } from "./fault.ts";
import { refusalProblem } from "./forward/problem.ts";
import { serveOwn } from "./forward/serve-own.ts";
import { sendWhole, serveDefect, serveRequest } from "./forward/serve-request.ts";
import { CALL_KIND, type Peer } from "./judge/call.ts";
import { REASON, REASON_BY_CODE, type ReasonKind } from "./judge/reason.ts";
import { refuseWith } from "./judge/refusal.ts";
import { VERDICT, type Verdict } from "./judge/verdict.ts";
import { defectFound, functionFailed } from "./record/events.ts";
import { chooseRequestId } from "./record/request-id.ts";
import { continueTrace } from "./record/trace-context.ts";
import { refuseFault, serveHandshake } from "./relay/serve-handshake.ts";
import { Visit } from "./visit.ts";

/** How many requests and handshakes the process may serve at once, over all its workers. */
export interface InFlightCap {
  /** Whether what was just counted still fits. */
  hasRoom(): boolean;
  counted(by: 1 | -1): void;
}

/** The beginning and the end of the road: takes what the listener hands over, and has it judged and served. */
export class DataPlaneArrivals implements Arrivals {
  readonly #plane: DataPlane;
  readonly #cap: InFlightCap;
  /** Requests and handshakes of this worker between arrival and the end of their answer. */
  #inFlight = 0;
  #whenIdle: (() => void) | undefined;
  /** Aborted when handshakes that are still opening must give up. */
  readonly #stopping = new AbortController();

  constructor(plane: DataPlane, cap: InFlightCap) {
    this.#plane = plane;
    this.#cap = cap;
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
    const plane = this.#plane;
    const elsewhere = plane.publicName.redirect(head, peer);
    const own = elsewhere ?? plane.ownEndpoints.answer(head, plane.servedHosts);
    if (own !== undefined && !("serve" in own)) {
      sendWhole(answer, own);
      return;
    }
    const preflight = own === undefined ? plane.preflights.answer(head) : undefined;
    if (preflight !== undefined && plane.servedHosts.has(head.host)) {
      sendWhole(answer, preflight);
      return;
    }
    const visit = this.#begin(CALL_KIND.request, head, peer);
    const ended = (): void => this.#end(visit);
    const broken = (error: unknown): void => {
      this.#tell(error, "request", visit);
      serveDefect(plane, { exchange, visit, error });
      ended();
    };
    if (own !== undefined) {
      void this.#serveOwn(own, exchange, visit, ended).catch(broken);
      return;
    }
    try {
      const verdict = this.#judge(visit, oddities);
      if (!(verdict instanceof Promise)) {
        serveRequest(plane, { exchange, visit, verdict, ended });
        return;
      }
      answer.listener = { clientDrained() {}, clientGone: () => visit.leave() };
      verdict
        .then((waited) => serveRequest(plane, { exchange, visit, verdict: waited, ended }))
        .catch(broken);
    } catch (error) {
      broken(error);
    }
  }

  upgrade(upgrade: UpgradeExchange, oddities: number): void {
    const visit = this.#begin(CALL_KIND.handshake, upgrade.head, upgrade.peer);
    const left = (): void => visit.leave();
    upgrade.socket.once("close", left);
    void this.#serveHandshake(upgrade, visit, oddities)
      .catch((error: unknown) => {
        this.#tell(error, "handshake", visit);
        // Only before anything was answered is there a fault that nobody dealt with.
        if (error instanceof Fault) refuseFault(this.#plane, { upgrade, visit, fault: error });
        else upgrade.socket.destroy();
      })
      .finally(() => {
        upgrade.socket.off("close", left);
        this.#end(visit);
      });
  }

  refused(
    { peer, method, reason, detail }: Parameters<Arrivals["refused"]>[0],
    write: Parameters<Arrivals["refused"]>[1],
  ): void {
    const { clock, identifiers, recorder, answers } = this.#plane;
    const kind = REASON_BY_CODE[reason] as ReasonKind;
    const requestId = identifiers.long();
    const { typeBase } = answers;
    const { status, fields, body } = refusalProblem(kind, { typeBase, requestId, detail });
    const arrivedMs = clock.monotonicMs();
    write(status, fields, body);
    recorder.request({
      kind: CALL_KIND.request,
      requestId,
      traceId: "",
      peer,
      method,
      route: undefined,
      status,
      closeCode: 0,
      verdict: kind.verdict,
      reason,
      fault: undefined,
      faultDetail: undefined,
      issuer: "",
      subject: "",
      target: "",
      requestBytes: 0,
      answerBytes: 0,
      durationMs: clock.monotonicMs() - arrivedMs,
      upstreamMs: 0,
      addedMs: 0,
    });
  }

  async #serveOwn(
    endpoint: OwnEndpoint,
    exchange: Http1Exchange,
    visit: Visit,
    ended: () => void,
  ): Promise<void> {
    const plane = this.#plane;
    if (this.#cap.hasRoom()) return await serveOwn(plane, { endpoint, exchange, visit, ended });
    refuseWith(visit.refusal, REASON.overloaded);
    serveRequest(plane, { exchange, visit, verdict: VERDICT.shed, ended });
  }

  async #serveHandshake(upgrade: UpgradeExchange, visit: Visit, oddities: number): Promise<void> {
    const verdict = await this.#judge(visit, oddities);
    const { signal } = this.#stopping;
    await serveHandshake(this.#plane, { upgrade, visit, verdict, signal });
  }

  #tell(error: unknown, where: "request" | "handshake", { requestId }: Visit): void {
    const { log } = this.#plane;
    if (error instanceof Fault && error.kind === "function_failed")
      functionFailed(log, { error, requestId });
    else defectFound(log, { where, error: toError(error), requestId });
  }

  #begin(kind: Visit["kind"], head: RequestHead, peer: Peer): Visit {
    const { clock, identifiers } = this.#plane;
    this.#inFlight++;
    this.#cap.counted(1);
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
    this.#cap.counted(-1);
    if (this.#inFlight === 0) this.#whenIdle?.();
  }

  /** Host and overload, then the road. */
  #judge(visit: Visit, oddities: number): Verdict | Promise<Verdict> {
    const { servedHosts, road } = this.#plane;
    if (!servedHosts.has(visit.head.host)) {
      refuseWith(visit.refusal, REASON.misdirected);
      return VERDICT.reject;
    }
    if (!this.#cap.hasRoom()) {
      refuseWith(visit.refusal, REASON.overloaded);
      return VERDICT.shed;
    }
    return road.walk(visit, oddities);
  }
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
