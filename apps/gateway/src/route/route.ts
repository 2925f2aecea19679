import type { AssertionAudience } from "@tidegate/auth";
import type { Challenges } from "../identify/challenges.ts";
import type { RouteConfig, UpstreamConfig, WebSocketConfig } from "../config/schema.ts";
import type { LimitPolicy } from "../judge/limit-policy.ts";
import type { Policy, Stage } from "../judge/policy.ts";

/** One entry of the route table, compiled from configuration. Frozen; replaced whole by a reload. */
export interface Route {
  /** What logs and metrics call it: the methods and the pattern, never a path that somebody sent. */
  readonly id: string;
  /** Position in the table; stable while the configuration is. */
  readonly index: number;
  readonly config: RouteConfig;
  /** The upstream's name. */
  readonly upstream: string;
  readonly upstreamConfig: UpstreamConfig;
  /** Whom assertions about its callers are for, and what of a person they say. */
  readonly audience: AssertionAudience;
  /** Policies of requests and handshakes, by stage. */
  readonly policies: Readonly<Record<Stage, readonly Policy[]>>;
  /** What its 401 answers ask for. */
  readonly challenges: Challenges;
  /** Every limit on requests and handshakes, for the `RateLimit` fields of answers. */
  readonly limitPolicies: readonly LimitPolicy[];
  /** Value of `RateLimit-Policy`; empty when there are no limits. */
  readonly limitPolicyField: string;
  /** Whether some limit counts bytes, so that bodies of unknown length are judged chunk by chunk. */
  readonly chargesBytes: boolean;
  /** How many interned limit handles a session of this route holds. */
  readonly slotCount: number;
  /** Undefined where upgrades are not offered. */
  readonly websocket: SocketRules | undefined;
}

/** What is compiled for the messages of a route's sockets. */
export interface SocketRules {
  readonly config: WebSocketConfig;
  /** Class names by `Call.classIndex`: `text`, `binary`, `control` in the opcode classification. */
  readonly classes: readonly string[];
  /**
   * `policies[towards][classIndex]`: walked at every frame's header. When one refuses, `socketActionOf` in
   * `judge/limit-policy.ts` says what happens to the message. Their `begin` and `end` frame the socket's life;
   * `judge/session.ts` calls both.
   */
  readonly policies: readonly [readonly (readonly Policy[])[], readonly (readonly Policy[])[]];
}
