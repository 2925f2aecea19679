import type { Clock, Timer } from "@tidegate/clock";
import type { AnswerListener, BodySink, Exchange } from "../accept/exchange.ts";
import type { RequestHead } from "../accept/request-head.ts";
import { Fault } from "../fault.ts";
import type { Peer, Session } from "../judge/call.ts";
import { judgeCall } from "../judge/judge-call.ts";
import { REASON } from "../judge/reason.ts";
import { refuseWith } from "../judge/refusal.ts";
import { VERDICT } from "../judge/verdict.ts";
import type { LiveEntry, LiveSession, SessionEnding } from "../session/live-session.ts";
import type { LiveSessions } from "../session/live-sessions.ts";
import { refuseEnded } from "../session/refuse-ended.ts";
import type { AnswerHead } from "../upstream/answer-head.ts";
import type { ExchangeListener, UpstreamConnection } from "../upstream/upstream-connection.ts";
import type { Target, Upstream } from "../upstream/upstream.ts";
import type { Visit } from "../visit.ts";
import { toClientFields, toClientTrailers } from "./answer-fields.ts";
import { trailerLines } from "./upstream-head.ts";

/** How a forwarded request ended. */
export interface ForwardResult {
  /** Status that the client got; 499 when it left before any. */
  readonly status: number;
  readonly outcome: "done" | "failed" | "lost" | "refused";
  readonly fault: Fault | undefined;
  /** Authority of the target, empty when none was reached. */
  readonly target: string;
  readonly requestBytes: number;
  readonly answerBytes: number;
  /** Request sent whole → head of the answer, milliseconds; 0 when there was none. */
  readonly upstreamMs: number;
  /** Arrival → request handed to a connection, milliseconds. */
  readonly addedMs: number;
}

export interface ForwardOptions {
  readonly visit: Visit;
  /** Of the visit. */
  readonly session: Session;
  readonly exchange: Exchange;
  readonly upstream: Upstream;
  readonly viaName: string;
  /** The request's head for the upstream; `framing` is a flat list of the fields that frame its body. */
  readonly buildHead: (framing: readonly string[]) => string;
  /** Adds the fields that every answer of this call gets to a flat list. Called when the answer's head is there. */
  readonly addAnswerFields: (fields: string[]) => void;
  readonly clock: Clock;
  /** Where it stands while it runs: a long answer is a session, whose right may end. */
  readonly liveSessions: LiveSessions;
  /** Answers the client when the upstream's answer was not begun. @returns the status sent */
  readonly answerFault: (fault: Fault) => number;
  /** Answers with `visit.refusal`. @returns the status sent */
  readonly answerRefusal: () => number;
  /** Watches an upload from its start; it calls `tooSlow` when the upload trickles. */
  readonly watchBody: (tooSlow: () => void) => void;
  /** Told when an attempt failed and another one is made. */
  readonly retried: (fault: Fault, target: Target) => void;
  readonly done: (result: ForwardResult) => void;
}

/** A server that does not know 100-continue is not waited for longer (RFC 9110 §10.1.1). */
const CONTINUE_WAIT_MS = 1_000;

// RFC 9110 §9.2.2. Only these may be sent a second time when a kept connection ended under them.
const IDEMPOTENT = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);

/** Sends an admitted request to its upstream and the answer back, both streaming, both with back-pressure. */
export function forwardRequest(options: ForwardOptions): void {
  new Forwarding(options).start();
}

/** One request on its way. After `#isOver` nothing is written to either side. */
class Forwarding implements BodySink, ExchangeListener, AnswerListener, LiveSession {
  readonly session: Session;
  readonly peer: Peer;
  entry: LiveEntry | undefined;
  readonly #options: ForwardOptions;
  readonly #head: RequestHead;
  #connection: UpstreamConnection | undefined;
  #target: Target | undefined;
  #isOver = false;
  #isBodyStarted = false;
  #isBodySent: boolean;
  #hasRetried = false;
  #continueTimer: Timer | undefined;
  /** 0 until the answer's head went to the client. */
  #status = 0;
  #requestBytes = 0;
  #answerBytes = 0;
  #addedMs = 0;
  #sentMs = 0;
  #upstreamMs = 0;

  constructor(options: ForwardOptions) {
    this.#options = options;
    this.session = options.session;
    this.peer = options.visit.peer;
    this.#head = options.exchange.head;
    this.#isBodySent = this.#head.bodyBytes === 0;
  }

  start(): void {
    const { exchange, upstream, liveSessions } = this.#options;
    exchange.answer.listener = this;
    liveSessions.addAnswer(this);
    // What it found may have ended it.
    if (this.#isOver) return;
    this.#connect(upstream.choose(), false);
  }

  // The request's body, on its way up.

  bodyChunk(bytes: Buffer): void {
    if (this.#isOver) return;
    this.#requestBytes += bytes.length;
    if (!this.#admitsChunk(bytes)) return;
    const connection = this.#connection as UpstreamConnection;
    const isTaken =
      this.#head.bodyBytes < 0 ? connection.writeChunk(bytes) : connection.write(bytes);
    if (!isTaken) this.#options.exchange.body.pause();
  }

  bodyEnded(trailers: readonly string[]): void {
    if (this.#isOver) return;
    this.#isBodySent = true;
    // Nothing of the body can refuse the call any more.
    this.#options.visit.commit();
    this.#sentMs = this.#options.clock.monotonicMs();
    const tail = this.#head.bodyBytes < 0 ? `0\r\n${trailerLines(trailers)}\r\n` : "";
    this.#connection?.endRequest(tail);
  }

  bodyFailed(): void {
    this.clientGone();
  }

  upstreamDrained(): void {
    if (this.#isBodyStarted && !this.#isBodySent) this.#options.exchange.body.resume();
  }

  // The answer, on its way down.

  answerInformed(status: number, fields: readonly string[]): void {
    if (status === 100) this.#startBody();
    else this.#options.exchange.answer.inform(status, toClientFields(fields));
  }

  answerHead(head: AnswerHead): void {
    const { exchange, clock, addAnswerFields, viaName } = this.#options;
    this.#continueTimer?.cancel();
    this.#upstreamMs = clock.monotonicMs() - this.#sentMs;
    this.#status = head.status;
    const fields = toClientFields(head.fields, this.#options.visit.route);
    fields.push("Via", `1.1 ${viaName}`);
    addAnswerFields(fields);
    exchange.answer.head(head.status, fields, head.bodyBytes);
  }

  answerChunk(bytes: Buffer): void {
    this.#answerBytes += bytes.length;
    if (!this.#options.exchange.answer.write(bytes)) this.#connection?.pause();
  }

  answerEnded(trailers: string[]): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#options.exchange.answer.end(toClientTrailers(trailers));
    this.#done("done", undefined);
  }

  clientDrained(): void {
    if (!this.#isOver) this.#connection?.resume();
  }

  // Ends that are not ends.

  endSession(ending: SessionEnding): void {
    if (this.#isOver) return;
    refuseEnded(this.#options.visit.refusal, ending);
    this.#refuse();
  }

  clientGone(): void {
    if (this.#isOver) return;
    this.#options.visit.leave();
    this.#connection?.abort();
    this.#over("lost", new Fault("client_gone", "Cannot finish the request: the client went away"));
  }

  exchangeFailed(fault: Fault): void {
    if (this.#isOver) return;
    const connection = this.#connection;
    const wasKept = connection !== undefined && connection.exchanges > 1;
    const isRepeatable = IDEMPOTENT.has(this.#head.method) && this.#head.bodyBytes === 0;
    const isUnanswered = fault.kind === "upstream_ended" && !(connection?.hasAnswerBytes ?? true);
    if (wasKept && isRepeatable && isUnanswered && !this.#hasRetried) {
      this.#hasRetried = true;
      this.#options.retried(fault, connection.target);
      this.#connect(connection.target, true);
      return;
    }
    this.#fail(fault);
  }

  #connect(target: Target, isFresh: boolean): void {
    const { upstream, visit } = this.#options;
    this.#target = target;
    this.#connection = undefined;
    const connection = upstream.acquire(target, visit, { isFresh });
    if (!(connection instanceof Promise)) {
      this.#send(connection);
      return;
    }
    connection.then(
      (opened) => this.#send(opened),
      (error: unknown) => this.#connectFailed(error),
    );
  }

  #connectFailed(error: unknown): void {
    if (this.#isOver) return;
    const fault =
      error instanceof Fault ? error : new Fault("internal", String(error), { cause: error });
    const isUnopened = fault.kind === "upstream_unreachable" || fault.kind === "upstream_timeout";
    if (isUnopened && !this.#hasRetried) {
      // Nothing was sent, so any method may be tried once more, at another target where there is one.
      this.#hasRetried = true;
      if (this.#target !== undefined) this.#options.retried(fault, this.#target);
      this.#connect(this.#options.upstream.choose(this.#target), false);
      return;
    }
    this.#fail(fault);
  }

  #send(connection: UpstreamConnection): void {
    if (this.#isOver) {
      connection.release();
      return;
    }
    const { buildHead, clock, visit } = this.#options;
    const hasBody = this.#head.bodyBytes !== 0;
    this.#connection = connection;
    this.#target = connection.target;
    this.#sentMs = clock.monotonicMs();
    this.#addedMs = this.#sentMs - visit.arrivedMs;
    const framing = framingOf(this.#head);
    const extra = this.#head.takesTrailers ? [...framing, ...WANTS_TRAILERS] : framing;
    connection.begin(buildHead(extra), {
      listener: this,
      hasBody,
      isHeadRequest: this.#head.method === "HEAD",
    });
    if (!hasBody) return;
    // RFC 9110 §10.1.1: the expectation goes to whoever will read the body; its 100 starts the upload.
    if (this.#head.expectsContinue)
      this.#continueTimer = clock.after(CONTINUE_WAIT_MS, () => this.#startBody());
    else this.#startBody();
  }

  #startBody(): void {
    this.#continueTimer?.cancel();
    if (this.#isBodyStarted || this.#isBodySent || this.#isOver) return;
    this.#isBodyStarted = true;
    this.#options.watchBody(() => {
      if (this.#isOver) return;
      refuseWith(this.#options.visit.refusal, REASON.body_too_slow);
      this.#refuse();
    });
    this.#options.exchange.body.start(this);
  }

  /** Judges a chunk of a body whose length nobody declared. */
  #admitsChunk(bytes: Buffer): boolean {
    if (this.#head.bodyBytes >= 0) return true;
    const { visit, clock } = this.#options;
    const { route, call, refusal } = visit;
    if (route === undefined || call === undefined) return true;
    if (this.#requestBytes > route.config.maxBodyBytes) {
      refuseWith(refusal, REASON.body_too_large);
      this.#refuse();
      return false;
    }
    if (!route.chargesBytes) return true;
    call.isFirst = false;
    call.bytes = bytes.length;
    call.nowMs = clock.monotonicMs();
    const isAdmitted =
      judgeCall(route.policies.address, call, refusal) === VERDICT.admit &&
      judgeCall(route.policies.principal, call, refusal) === VERDICT.admit;
    if (!isAdmitted) this.#refuse();
    return isAdmitted;
  }

  #refuse(): void {
    this.#connection?.abort();
    if (this.#status === 0) this.#status = this.#options.answerRefusal();
    else this.#options.exchange.answer.destroy();
    this.#over("refused", undefined);
  }

  #fail(fault: Fault): void {
    if (this.#status === 0) this.#status = this.#options.answerFault(fault);
    // The client has a part already: only a cut tells it that the rest is missing (RFC 9112 §8).
    else this.#options.exchange.answer.destroy();
    this.#over("failed", fault);
  }

  #over(outcome: ForwardResult["outcome"], fault: Fault | undefined): void {
    this.#isOver = true;
    this.#continueTimer?.cancel();
    this.#done(outcome, fault);
  }

  #done(outcome: ForwardResult["outcome"], fault: Fault | undefined): void {
    this.#options.liveSessions.delete(this);
    this.#options.done({
      status: this.#status === 0 ? 499 : this.#status,
      outcome,
      fault,
      target: this.#target?.authority ?? "",
      requestBytes: this.#requestBytes,
      answerBytes: this.#answerBytes,
      upstreamMs: this.#upstreamMs,
      addedMs: this.#addedMs,
    });
  }
}

const NOTHING: readonly string[] = [];
const EMPTY_BODY: readonly string[] = ["Content-Length", "0"];
// RFC 9110 §10.1.4: TE is for the next hop alone, and so needs its name in Connection.
const WANTS_TRAILERS: readonly string[] = ["TE", "trailers", "Connection", "TE"];

function framingOf(head: RequestHead): readonly string[] {
  const { bodyBytes, method } = head;
  // A method that usually has a body says so even when it is empty (RFC 9110 §8.6).
  if (bodyBytes === 0) return MAY_BE_EMPTY.has(method) ? EMPTY_BODY : NOTHING;
  const framing: string[] =
    bodyBytes < 0 ? ["Transfer-Encoding", "chunked"] : ["Content-Length", String(bodyBytes)];
  if (head.expectsContinue) framing.push("Expect", "100-continue");
  return framing;
}

const MAY_BE_EMPTY = new Set(["POST", "PUT", "PATCH"]);
