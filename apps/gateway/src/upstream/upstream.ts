import type { Socket } from "node:net";
import type { UpstreamConfig } from "../config/schema.ts";

/** Where an upstream's next connection goes. */
export interface Target {
  readonly host: string;
  readonly port: number;
  /** `host:port` as it stands in the configuration, for logs. */
  readonly authority: string;
}

/** A named service behind the gateway, with its targets. */
export interface Upstream {
  readonly name: string;
  readonly config: UpstreamConfig;
  /** The target whose turn it is. */
  choose(): Target;
  /**
   * Opens a fresh connection for a socket relay, outside the pool and its cap. The socket is connected, paused
   * and without delay (`TCP_NODELAY`).
   * @throws {Fault} `upstream_unreachable`, `upstream_timeout`
   */
  connect(target: Target, signal: AbortSignal): Promise<Socket>;
}
