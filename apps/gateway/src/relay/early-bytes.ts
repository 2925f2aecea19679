import type { Socket } from "node:net";

/**
 * What a client sends between its handshake and the answer to it: kept, up to a bound, and the client's leaving is
 * noticed meanwhile. A client has no reason to send before it is accepted (RFC 6455 §4.1 lets it send only in state
 * OPEN); one that hurries loses nothing.
 */
export class EarlyBytes {
  readonly #socket: Socket;
  readonly #maxBytes: number;
  readonly #broken: (cause: "gone" | "flood") => void;
  #chunks: Buffer[] = [];
  #bytes = 0;

  /**
   * @param options `early` came with the handshake; `broken` is called when the client left or sent more than
   *   `maxBytes`, more than once perhaps
   */
  constructor(
    socket: Socket,
    options: {
      readonly early: Buffer;
      readonly maxBytes: number;
      readonly broken: (cause: "gone" | "flood") => void;
    },
  ) {
    this.#socket = socket;
    this.#maxBytes = options.maxBytes;
    this.#broken = options.broken;
    if (options.early.length > 0) this.#take(options.early);
    socket.on("data", this.#take);
    socket.on("end", this.#gone);
    socket.on("close", this.#gone);
    socket.resume();
  }

  /** How many came, those that were too many included. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Stops listening and pauses the client. @returns what came, in order */
  release(): readonly Buffer[] {
    this.#socket.pause();
    this.#socket.off("data", this.#take);
    this.#socket.off("end", this.#gone);
    this.#socket.off("close", this.#gone);
    return this.#chunks;
  }

  readonly #take = (chunk: Buffer): void => {
    this.#bytes += chunk.length;
    if (this.#bytes <= this.#maxBytes) {
      this.#chunks.push(chunk);
      return;
    }
    this.#chunks = [];
    this.#broken("flood");
  };

  readonly #gone = (): void => this.#broken("gone");
}
