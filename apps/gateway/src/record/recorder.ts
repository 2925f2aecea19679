import type { CallKind, Peer, Towards } from "../judge/call.ts";
import type { ReasonCode } from "../judge/reason.ts";
import type { Verdict } from "../judge/verdict.ts";
import type { FaultName } from "../fault.ts";
import type { Route } from "../route/route.ts";

/** What is written about one finished request or refused handshake. Ids and numbers; never a token, body or query. */
export interface RequestRecord {
  readonly kind: CallKind;
  readonly requestId: string;
  readonly traceId: string;
  readonly peer: Peer;
  readonly method: string;
  /** Undefined when no route was found. */
  readonly route: Route | undefined;
  readonly status: number;
  /**
   * How a refused handshake was told in place of `status`: accepted, and closed with this code. 0: it was not.
   */
  readonly closeCode: number;
  readonly verdict: Verdict;
  readonly reason: ReasonCode;
  readonly fault: FaultName | undefined;
  /** What the fault's message said; goes to the log alone. */
  readonly faultDetail: string | undefined;
  readonly issuer: string;
  readonly subject: string;
  readonly target: string;
  readonly requestBytes: number;
  readonly answerBytes: number;
  /** Arrival of the head → last byte handed to the kernel. */
  readonly durationMs: number;
  /** Waiting for the upstream: request sent whole → first byte of the answer. */
  readonly upstreamMs: number;
  /** What the gateway itself added before the upstream was asked: arrival of the head → request handed to a connection. */
  readonly addedMs: number;
}

/** What is written about one socket at its end. Counters are `[towards][classIndex]`. */
export interface SocketRecord {
  readonly connectionId: string;
  readonly requestId: string;
  readonly traceId: string;
  readonly peer: Peer;
  readonly route: Route;
  readonly issuer: string;
  readonly subject: string;
  readonly target: string;
  readonly closeCode: number;
  /** The gateway's own; empty where a peer said the code. */
  readonly closeReason: string;
  /** Who ended it. */
  readonly endedBy: "client" | "upstream" | "gateway";
  readonly durationMs: number;
  readonly messages: readonly [Float64Array, Float64Array];
  readonly bytes: readonly [Float64Array, Float64Array];
  readonly dropped: readonly [Float64Array, Float64Array];
  readonly delayedMs: number;
}

/** The last step of the road. Nothing here throws or waits. */
export interface Recorder {
  request(record: RequestRecord): void;
  socketOpened(route: Route): void;
  socketEnded(record: SocketRecord): void;
  /**
   * Counters of live messages, written straight into memory by the relay: index them by
   * `verdict * classes + classIndex` with `classes` the number of classes of the route.
   */
  messageCounters(route: Route, towards: Towards): Float64Array;
}
