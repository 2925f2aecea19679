import type { RouteConfig, UpstreamConfig, WebSocketConfig } from "../config/schema.ts";
import type { Policy, Stage } from "../judge/policy.ts";

/** One entry of the route table, compiled from configuration. Frozen; replaced whole by a reload. */
export interface Route {
  /** What logs and metrics call it: the methods and the pattern, never a path that somebody sent. */
  readonly id: string;
  /** Position in the table; stable while the configuration is. */
  readonly index: number;
  readonly config: RouteConfig;
  /** The upstream's name, which is also the audience of the assertion. */
  readonly upstream: string;
  readonly upstreamConfig: UpstreamConfig;
  /** Policies of requests and handshakes, by stage. */
  readonly policies: Readonly<Record<Stage, readonly Policy[]>>;
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
  /** `policies[towards][classIndex]`: walked once per message, at its first frame's header. */
  readonly policies: readonly [readonly (readonly Policy[])[], readonly (readonly Policy[])[]];
  /** What to do when the policy at the same place refuses. */
  readonly actions: readonly [
    readonly (readonly SocketAction[])[],
    readonly (readonly SocketAction[])[],
  ];
}

export type SocketAction = "delay" | "drop" | "close";
