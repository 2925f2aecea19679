import type { OnReadOpts, Socket } from "node:net";
import { Deadlines, type Clock, type Timer } from "@tidegate/clock";
import { Fault } from "../fault.ts";
import type { UpstreamConfig } from "../config/schema.ts";
import { openSocket, UpstreamConnection, type ConnectionOwner } from "./upstream-connection.ts";
import type { Target, Upstream } from "./upstream.ts";

/** How late an expiry may be noticed. */
const DEADLINE_TICK_MS = 50;

interface Waiter {
  readonly target: Target;
  readonly signal: AbortSignal;
  /** Listens to `signal`: a place in the queue is for who is still there. */
  readonly left: () => void;
  readonly resolve: (connection: UpstreamConnection | Promise<UpstreamConnection>) => void;
  readonly reject: (fault: Fault) => void;
  readonly timer: Timer;
}

/** @param name what routes and logs call it */
export function createUpstream(name: string, config: UpstreamConfig, clock: Clock): Upstream {
  return new UpstreamPool(name, config, clock);
}

/**
 * Keeps connections to the targets of one upstream: the latest used first, so that a quiet pool shrinks.
 * Never more than `maxConnections` at once, opening ones included.
 */
class UpstreamPool implements Upstream, ConnectionOwner {
  readonly name: string;
  readonly config: UpstreamConfig;
  readonly #clock: Clock;
  readonly #deadlines: Deadlines;
  readonly #targets: readonly Target[];
  /** Connections without an exchange, by target; the last one idled last. Bounded by `maxConnections`. */
  readonly #idle = new Map<Target, UpstreamConnection[]>();
  /** Bounded by `maxQueued`; who waits longer than `queueTimeoutMs` is refused. */
  readonly #waiting: Waiter[] = [];
  #openConnections = 0;
  #turn = 0;
  #isClosed = false;

  constructor(name: string, config: UpstreamConfig, clock: Clock) {
    this.name = name;
    this.config = config;
    this.#clock = clock;
    this.#deadlines = new Deadlines(clock, DEADLINE_TICK_MS);
    this.#targets = config.targets.map(toTarget);
    for (const target of this.#targets) this.#idle.set(target, []);
  }

  choose(avoid?: Target): Target {
    for (let tries = 0; tries < this.#targets.length; tries++) {
      const target = this.#targets[this.#turn++ % this.#targets.length] as Target;
      if (target !== avoid) return target;
    }
    return this.#targets[0] as Target;
  }

  acquire(
    target: Target,
    caller: { readonly signal: AbortSignal },
    { isFresh }: { readonly isFresh: boolean },
  ): UpstreamConnection | Promise<UpstreamConnection> {
    if (this.#isClosed) return Promise.reject(this.#stopping());
    const kept = isFresh ? undefined : this.#takeIdle(target);
    if (kept !== undefined) return kept;
    if (this.#openConnections < this.config.maxConnections || this.#closeOneIdle())
      return this.#open(target, caller.signal);
    return this.#wait(target, caller.signal);
  }

  connect(target: Target, signal: AbortSignal, onread: OnReadOpts): Promise<Socket> {
    return openSocket({ target, config: this.config, clock: this.#clock, signal, onread });
  }

  close(): void {
    this.#isClosed = true;
    for (const connections of this.#idle.values())
      for (const connection of connections.splice(0)) connection.close();
    for (const waiter of this.#waiting.splice(0)) {
      this.#unwatch(waiter);
      waiter.reject(this.#stopping());
    }
  }

  idled(connection: UpstreamConnection): void {
    if (this.#isClosed) {
      connection.close();
      return;
    }
    const waiter = this.#nextWaiter();
    if (waiter === undefined) this.#idle.get(connection.target)?.push(connection);
    else waiter.resolve(connection);
  }

  closed(connection: UpstreamConnection): void {
    const idle = this.#idle.get(connection.target);
    const at = idle?.indexOf(connection) ?? -1;
    if (at >= 0) idle?.splice(at, 1);
    this.#freed();
  }

  #takeIdle(target: Target): UpstreamConnection | undefined {
    const idle = this.#idle.get(target);
    const nowMs = this.#clock.monotonicMs();
    for (;;) {
      const connection = idle?.pop();
      if (connection === undefined) return undefined;
      if (connection.isUsable && connection.usableUntilMs > nowMs) return connection;
      connection.close();
    }
  }

  #closeOneIdle(): boolean {
    for (const connections of this.#idle.values()) {
      const oldest = connections.shift();
      if (oldest === undefined) continue;
      oldest.close();
      return true;
    }
    return false;
  }

  async #open(target: Target, signal: AbortSignal): Promise<UpstreamConnection> {
    this.#openConnections++;
    try {
      return await UpstreamConnection.open({
        target,
        config: this.config,
        clock: this.#clock,
        deadlines: this.#deadlines,
        owner: this,
        signal,
      });
    } catch (error) {
      this.#freed();
      throw error;
    }
  }

  #wait(target: Target, signal: AbortSignal): Promise<UpstreamConnection> {
    const { maxConnections, maxQueued, queueTimeoutMs } = this.config;
    const saturated = (reason: string): Fault =>
      new Fault(
        "upstream_saturated",
        `Cannot reach ${this.name}: all ${maxConnections} connections are busy and ${reason}`,
      );
    if (this.#waiting.length >= maxQueued)
      return Promise.reject(saturated(`${maxQueued} requests wait already`));
    const { promise, resolve, reject } = Promise.withResolvers<UpstreamConnection>();
    const leave = (fault: Fault): void => {
      const at = this.#waiting.indexOf(waiter);
      if (at < 0) return;
      this.#waiting.splice(at, 1);
      this.#unwatch(waiter);
      reject(fault);
    };
    const left = (): void =>
      leave(new Fault("client_gone", `Cannot reach ${this.name}: the client went away`));
    const timer = this.#clock.after(queueTimeoutMs, () =>
      leave(saturated(`none came free within ${queueTimeoutMs} ms`)),
    );
    const waiter: Waiter = { target, signal, left, resolve, reject, timer };
    this.#waiting.push(waiter);
    if (signal.aborted) left();
    else signal.addEventListener("abort", left, { once: true });
    return promise;
  }

  #nextWaiter(): Waiter | undefined {
    const waiter = this.#waiting.shift();
    if (waiter !== undefined) this.#unwatch(waiter);
    return waiter;
  }

  #unwatch({ timer, signal, left }: Waiter): void {
    timer.cancel();
    signal.removeEventListener("abort", left);
  }

  #stopping(): Fault {
    return new Fault("draining", `Cannot reach ${this.name}: the gateway is stopping`);
  }

  #freed(): void {
    this.#openConnections--;
    const waiter = this.#nextWaiter();
    waiter?.resolve(this.#open(waiter.target, waiter.signal));
  }
}

function toTarget(url: string): Target {
  const { hostname, port } = new URL(url);
  const host = hostname.startsWith("[") ? hostname.slice(1, -1) : hostname;
  return { host, port: port === "" ? 80 : Number(port), authority: new URL(url).host };
}
