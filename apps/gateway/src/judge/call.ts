import type { Principal } from "@tidegate/auth";
import type { Reservation } from "@tidegate/limits";
import type { Route } from "../route/route.ts";

/** The three things that walk the road. */
export const CALL_KIND = { request: 0, handshake: 1, message: 2 } as const;
export type CallKind = (typeof CALL_KIND)[keyof typeof CALL_KIND];

/** Which way a message goes. Requests and handshakes always go towards the upstream. */
export const TOWARDS = { upstream: 0, client: 1 } as const;
export type Towards = (typeof TOWARDS)[keyof typeof TOWARDS];

/** Who is at the other end of the wire, before anybody proved anything. */
export interface Peer {
  /** Canonical address text: IPv4-mapped IPv6 is written as IPv4. */
  readonly address: string;
  /** What address limits are keyed by: the IPv4 address, or the IPv6 /64 prefix. */
  readonly network: string;
  readonly port: number;
  /** Rises by one per accepted connection; keys the limits `per: "connection"`. */
  readonly connectionNumber: number;
  /** Whether the connection itself comes from a configured proxy, whose words about the call are believed. */
  readonly isProxied?: boolean;
}

/** What lives on: a request, or a socket. */
export interface Session {
  /** Replaced whole at refresh. */
  principal: Principal;
  /** Cleared from outside when the right to go on ended (revoked, boxed, expired). Read for every message. */
  isOpen: boolean;
  /**
   * Interned limit handles. Written by the route's limit policies when the session begins, at the offsets
   * they were given when the route was compiled; -1 where nothing is interned.
   */
  readonly slots: Int32Array;
  /**
   * What is held as long as the session lives: slots of concurrency limits. Written and taken by
   * `limit-policy.ts` alone; at most one per policy, undefined when there is none.
   */
  held: Map<object, Reservation> | undefined;
}

/** One call. For messages it is one object per socket direction, refilled per message and never kept. */
export interface Call {
  kind: CallKind;
  readonly route: Route;
  readonly session: Session;
  readonly peer: Peer;
  towards: Towards;
  /** Index into `route.websocket.classes` for messages; 0 for requests and handshakes. */
  classIndex: number;
  /** Payload bytes known now: the declared body length (0 when none or unknown), or of a frame's header. */
  bytes: number;
  /** Whether this is the first frame of a message. True for requests and handshakes. */
  isFirst: boolean;
  /** Whether this is the last frame of a message. True for requests and handshakes. */
  isLast: boolean;
  /** Monotonic milliseconds, read once per request or per chunk of a socket. */
  nowMs: number;
  /** What a policy of stage `body` may look at; undefined unless the route asked for it. */
  body: unknown;
  /**
   * Where the principal's limits are booked until every stage admitted this call. Written and taken by
   * `limit-policy.ts` alone; undefined when nothing can come back.
   */
  booking: Reservation | undefined;
}
