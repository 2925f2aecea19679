import type { Clock } from "@tidegate/clock";
import type { RequestHead } from "./accept/request-head.ts";
import type { Identity } from "./identify/identifier.ts";
import { type CALL_KIND, TOWARDS, type Call, type Peer, type Session } from "./judge/call.ts";
import { createCaller, type Caller, type CallerSource } from "./judge/caller.ts";
import { commitCall, releaseCall } from "./judge/judge-call.ts";
import type { Outcome, Policy } from "./judge/policy.ts";
import { createRefusal } from "./judge/refusal.ts";
import { createSession, endSession } from "./judge/session.ts";
import type { TraceContext } from "./record/trace-context.ts";
import type { Route } from "./route/route.ts";

/**
 * One request or handshake on its way along the road: what each step found out, and what must be undone at
 * the end. Owned by whoever received the call; `finish` is its last word.
 */
export class Visit implements CallerSource {
  readonly kind: typeof CALL_KIND.request | typeof CALL_KIND.handshake;
  readonly head: RequestHead;
  readonly peer: Peer;
  readonly requestId: string;
  readonly trace: TraceContext;
  readonly arrivedMs: number;
  readonly refusal = createRefusal();
  /** Set by the route step; undefined before it and when nothing is served at the path. */
  route: Route | undefined;
  session: Session | undefined;
  call: Call | undefined;
  /** Set by the identify step. */
  identity: Identity | undefined;
  /** What Allow says when the method was wrong. */
  allow = "";
  /** Written and read by who counts what is in flight. */
  hasEnded = false;
  #admitting: (readonly Policy[])[] = [];
  #abort: AbortController | undefined;
  #caller: Caller | undefined;
  #isGone = false;
  #isFinished = false;

  constructor(options: {
    kind: Visit["kind"];
    head: RequestHead;
    peer: Peer;
    requestId: string;
    trace: TraceContext;
    clock: Clock;
  }) {
    this.kind = options.kind;
    this.head = options.head;
    this.peer = options.peer;
    this.requestId = options.requestId;
    this.trace = options.trace;
    this.arrivedMs = options.clock.monotonicMs();
  }

  /** Aborted when the client goes away. Made on demand: most calls never wait for anything but the upstream. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#isGone) this.#abort.abort();
    return this.#abort.signal;
  }

  /** Who calls, for functions of the configuration. After identification. */
  caller(): Caller {
    const { session, peer, route, head } = this;
    if (session === undefined || route === undefined)
      throw new Error("Cannot say who calls: the call has no route yet");
    this.#caller ??= createCaller({ principal: session.principal, peer, route, head });
    return this.#caller;
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  /** The client went away. */
  leave(): void {
    this.#isGone = true;
    this.#abort?.abort();
  }

  /** The route is known: a session and a call begin. */
  enter(route: Route): Call {
    this.route = route;
    this.session = createSession(route);
    this.call = {
      kind: this.kind,
      route,
      session: this.session,
      peer: this.peer,
      towards: TOWARDS.upstream,
      classIndex: 0,
      bytes: Math.max(0, this.head.bodyBytes),
      isFirst: true,
      isLast: true,
      nowMs: this.arrivedMs,
      body: undefined,
      booking: undefined,
    };
    return this.call;
  }

  /** A whole stage admitted the call. */
  admittedBy(policies: readonly Policy[]): void {
    if (policies.length > 0) this.#admitting.push(policies);
  }

  /** Every stage admitted the call: what could come back is spent. */
  commit(): void {
    const { call } = this;
    if (call !== undefined) for (const policies of this.#admitting) commitCall(policies, call);
  }

  /**
   * Tells every policy that admitted the call how it ended, latest first.
   * @param keepsSession whether a socket goes on with the session, which then ends it
   */
  finish(outcome: Outcome, { keepsSession = false } = {}): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    const { call, route, session } = this;
    if (call === undefined || route === undefined || session === undefined) return;
    for (const policies of this.#admitting.reverse())
      releaseCall(policies, policies.length, call, outcome);
    if (!keepsSession) endSession(route, session);
  }
}
