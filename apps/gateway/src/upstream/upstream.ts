import type { OnReadOpts, Socket } from "node:net";
import type { UpstreamConfig } from "../config/schema.ts";
import type { UpstreamConnection } from "./upstream-connection.ts";

/** Where an upstream's next connection goes. */
export interface Target {
  readonly host: string;
  readonly port: number;
  /** `host:port` as it stands in the configuration, for logs. */
  readonly authority: string;
}

/** A named service behind the gateway, with its targets. Implementation: `upstream-pool.ts`. */
export interface Upstream {
  readonly name: string;
  readonly config: UpstreamConfig;
  /** The target whose turn it is; another one than `avoid` where there is one. */
  choose(avoid?: Target): Target;
  /**
   * A connection to `target` that carries one exchange: a kept one at once, otherwise a promise. While the
   * upstream is at its cap the call waits in a bounded queue, and may then get a connection to another target.
   * @param caller its `signal` is read only when there is something to wait for
   * @throws {Fault} (the promise) `upstream_unreachable`, `upstream_timeout`, `upstream_saturated`, `client_gone`
   */
  acquire(
    target: Target,
    caller: { readonly signal: AbortSignal },
    options: { readonly isFresh: boolean },
  ): UpstreamConnection | Promise<UpstreamConnection>;
  /**
   * Opens a fresh connection for a socket relay, outside the pool and its cap. The socket is connected, paused
   * and without delay (`TCP_NODELAY`); both ends may close their half on their own.
   * @param onread takes what arrives, in place of `data` events
   * @throws {Fault} `upstream_unreachable`, `upstream_timeout`, `client_gone`
   */
  connect(target: Target, signal: AbortSignal, onread: OnReadOpts): Promise<Socket>;
  /** Ends kept connections and refuses who waits. Running exchanges are their owners' matter. */
  close(): void;
}
