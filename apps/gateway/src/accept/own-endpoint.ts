import type { ProblemAnswer } from "../forward/problem.ts";
import type { Peer } from "../judge/call.ts";
import type { Visit } from "../visit.ts";
import type { RequestHead } from "./request-head.ts";

/** Something the public listener serves itself under `/.tidegate/`, and that may wait for the main thread or a body. */
export interface OwnEndpoint {
  /** @param path canonical */
  matches(path: string): boolean;
  /** HEAD comes with GET. Others get 405. */
  readonly methods: readonly string[];
  /** Judges the request by itself: no step of the road has looked at it, but for the shape and the host. */
  serve(request: OwnRequest): ProblemAnswer | Promise<ProblemAnswer>;
}

export interface OwnRequest {
  readonly head: RequestHead;
  readonly peer: Peer;
  /** The call, for endpoints that judge it by a route's rules. */
  readonly visit: Visit;
  /** The error id that the log has. */
  readonly requestId: string;
  /** Reads the body whole. @returns undefined when it is longer than `maxBytes`, trickles in, or the client left */
  readBody(maxBytes: number): Promise<Buffer | undefined>;
  /** Aborted when the client goes away. */
  readonly signal: AbortSignal;
}
