import type { Clock } from "@tidegate/clock";
import { WebSocket } from "ws";

// One batch of a feed and its frames. Above it a peer that asks but does not read is cut.
const MAX_BUFFERED_BYTES = 1024 * 1024;
// Ten seconds without one byte taken: a phone in a tunnel comes back and catches up, a reader this slow never does.
const FLUSH_TIMEOUT_MS = 10_000;
// Four a second over the interval between two pings; a client of a feed has nothing to say more often.
const MAX_MESSAGES_BETWEEN_PINGS = 120;

/** One accepted WebSocket with bounds: what waits for a slow reader, how much it may say, how long it may be silent. */
export class LiveSocket {
  readonly #socket: WebSocket;
  readonly #clock: Clock;
  #isAlive = true;
  /** Messages since the last ping. */
  #messages = 0;

  constructor(socket: WebSocket, options: { readonly clock: Clock }) {
    this.#socket = socket;
    this.#clock = options.clock;
    socket.on("pong", () => {
      this.#isAlive = true;
    });
    // The library answers each ping by itself: a peer that pings and never reads would fill our memory with pongs.
    socket.on("ping", () => {
      if (socket.bufferedAmount > MAX_BUFFERED_BYTES) socket.terminate();
    });
    // A broken frame or connection ends in "close", which is where everything is cleaned up.
    socket.on("error", () => undefined);
  }

  get isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  /** Calls back for each text message; a binary one breaks the contract of every feed, as does talking too much. */
  onText(receive: (text: string) => void): void {
    this.#socket.on("message", (data, isBinary) => {
      this.#messages += 1;
      if (!this.isOpen) return;
      if (this.#messages > MAX_MESSAGES_BETWEEN_PINGS) {
        this.close(4429, "limit;retryAfter=30;reauthenticate=0");
      } else if (isBinary) {
        this.close(4400, "contract");
      } else {
        receive(Buffer.isBuffer(data) ? data.toString() : "");
      }
    });
  }

  onClose(ended: () => void): void {
    this.#socket.once("close", ended);
  }

  /**
   * Sends messages in order and waits until the last is with the kernel, so that a caller in a loop never holds
   * more than one batch. A peer that takes nothing for ten seconds is closed as a slow reader.
   * @returns false when the socket ended before that
   */
  async send(messages: readonly string[]): Promise<boolean> {
    if (!this.isOpen) return false;
    const timer = this.#clock.after(FLUSH_TIMEOUT_MS, () => this.close(4503, "slow-reader"));
    try {
      return await new Promise<boolean>((resolve) => {
        for (const [index, message] of messages.entries()) {
          if (index < messages.length - 1) this.#socket.send(message);
          else
            this.#socket.send(message, (error) => resolve(error === undefined || error === null));
        }
        if (messages.length === 0) resolve(true);
      });
    } finally {
      timer.cancel();
    }
  }

  /** Ends the socket: with a close frame when nothing waits before it, else at once, since the peer would not read it. */
  close(code: number, reason: string): void {
    if (this.#socket.bufferedAmount > 0) this.#socket.terminate();
    else this.#socket.close(code, reason);
  }

  terminate(): void {
    this.#socket.terminate();
  }

  /** Called at every interval: ends a peer that has not answered the last ping, and pings again. */
  checkAlive(): void {
    if (!this.#isAlive) {
      this.#socket.terminate();
      return;
    }
    this.#isAlive = false;
    this.#messages = 0;
    if (this.isOpen) this.#socket.ping();
  }
}
