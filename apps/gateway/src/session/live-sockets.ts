import type { Clock, Timer } from "@tidegate/clock";

/** How often live sockets are looked at: pings, idle times, slow readers and closing deadlines are this exact. */
const SWEEP_INTERVAL_MS = 250;

/** A socket as the rest of the gateway sees it. Implementation: `relay/relay.ts`. */
export interface LiveSocket {
  readonly connectionId: string;
  /** Looks after everything that has a deadline. Called every 250 ms. */
  sweep(nowMs: number): void;
  /** Asks the client to come back elsewhere: at the next message boundary, or by a cut when none comes soon. */
  drain(): void;
  /** Ends both connections at once, with no word to either side. */
  cut(): void;
}

/**
 * The live sockets of this worker. One timer serves all of them: a timer per socket would cost more memory than
 * the rest of its bookkeeping.
 */
export class LiveSockets {
  /** Bounded by `listen.maxConnections`: an entry is a client connection, and leaves when that ends. */
  readonly #sockets = new Map<string, LiveSocket>();
  readonly #clock: Clock;
  #timer: Timer | undefined;
  #whenEmpty: (() => void) | undefined;
  #isDraining = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#sockets.size;
  }

  add(socket: LiveSocket): void {
    this.#sockets.set(socket.connectionId, socket);
    if (this.#timer === undefined) this.#arm();
    // It was opening while the drain began.
    if (this.#isDraining) socket.drain();
  }

  delete(socket: LiveSocket): void {
    this.#sockets.delete(socket.connectionId);
    if (this.#sockets.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#whenEmpty?.();
  }

  /** Tells every client to come back elsewhere. @returns a promise that is kept when the last socket has ended */
  drain(): Promise<void> {
    this.#isDraining = true;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#whenEmpty = resolve;
    for (const socket of this.#sockets.values()) socket.drain();
    if (this.#sockets.size === 0) resolve();
    return promise;
  }

  /** Ends what is left. */
  cut(): void {
    for (const socket of this.#sockets.values()) socket.cut();
  }

  #arm(): void {
    this.#timer = this.#clock.after(SWEEP_INTERVAL_MS, () => {
      this.#arm();
      const nowMs = this.#clock.monotonicMs();
      for (const socket of this.#sockets.values()) socket.sweep(nowMs);
    });
  }
}
