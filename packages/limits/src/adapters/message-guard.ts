import type { Clock, Timer } from "@tidegate/clock";
import type { Exceed, MessageCaller, MessageRefusal } from "./message-gate.ts";

/** As the library gives a message: the form depends on `binaryType`. */
export type MessageHandler = (data: MessageData, isBinary: boolean) => void;
// oxlint-disable-next-line typescript/no-explicit-any -- `ws` has a union of its own here, which handlers name
export type MessageData = any;

/** What is used of `ws`. */
export interface WebSocketLike {
  on(event: "message", listener: (data: MessageData, isBinary: boolean) => void): unknown;
  on(event: "ping" | "pong", listener: (data: Uint8Array) => void): unknown;
  on(event: "close", listener: () => void): unknown;
  pause(): void;
  resume(): void;
  close(code: number, reason: string): void;
  terminate(): void;
}

/** A client that does not answer a close frame for so long is cut off: meanwhile it may go on sending, to nobody. */
const CLOSE_GRACE_MS = 1_000;

/** What a held message costs beside its bytes. */
const HELD_MESSAGE_BYTES = 64;

interface Held {
  readonly data: MessageData;
  readonly isBinary: boolean;
  readonly bytes: number;
  readonly isControl: boolean;
  readonly arrivedMs: number;
}

interface GuardOptions {
  readonly socket: WebSocketLike;
  readonly handler: MessageHandler;
  readonly caller: MessageCaller;
  readonly clock: Clock;
  readonly maxDelayMs: number;
  readonly maxHeldBytes: number;
  readonly closeProfile: "tidegate" | "standard";
  readonly observe: (refusal: MessageRefusal) => void;
}

/** Stands between one socket and its handler until the socket closes. */
export function guardMessages(options: GuardOptions): void {
  const guard = new MessageGuard(options);
  const { socket } = options;
  socket.on("message", (data, isBinary) => guard.take(data, isBinary, false));
  socket.on("ping", (data) => guard.take(data, true, true));
  socket.on("pong", (data) => guard.take(data, true, true));
  socket.on("close", () => guard.end());
}

class MessageGuard {
  readonly #options: GuardOptions;
  /**
   * Messages that wait while reading is paused: those that had been read already. Bounded by `maxHeldBytes` and
   * `maxDelayMs`; past either the socket is closed and they are forgotten.
   */
  #held: Held[] = [];
  #heldFrom = 0;
  #heldBytes = 0;
  /** Of the wait while something is held; of the last grace once closing. */
  #timer: Timer | undefined;
  #state: "open" | "closing" | "closed" = "open";

  constructor(options: GuardOptions) {
    this.#options = options;
  }

  take(data: MessageData, isBinary: boolean, isControl: boolean): void {
    if (this.#state !== "open") return;
    const { caller, handler, clock } = this.#options;
    const bytes = sizeOf(data);
    const isWaiting = this.#heldFrom < this.#held.length;
    if (!isWaiting && caller.admits(bytes, isControl)) {
      if (!isControl) handler(data, isBinary);
      return;
    }
    const message = { data, isBinary, bytes, isControl, arrivedMs: clock.monotonicMs() };
    if (isWaiting) return this.#hold(message);
    const action = caller.exceed();
    this.#options.observe(caller.refusal(action));
    if (action === "delay") {
      this.#options.socket.pause();
      this.#hold(message);
      this.#wait();
    } else if (action === "close") {
      this.#close();
    }
  }

  /** The socket is closed, by whomever. */
  end(): void {
    this.#state = "closed";
    this.#timer?.cancel();
    this.#forgetHeld();
    this.#options.caller.close();
  }

  #hold(message: Held): void {
    const isFirst = this.#held.length === 0;
    this.#heldBytes += message.bytes + HELD_MESSAGE_BYTES;
    this.#held.push(message);
    if (!isFirst && this.#heldBytes > this.#options.maxHeldBytes) this.#close();
  }

  /** Until the oldest message fits, if that is soon enough. */
  #wait(): void {
    const { caller, clock, maxDelayMs } = this.#options;
    const heldMs = clock.monotonicMs() - this.#held[this.#heldFrom]!.arrivedMs;
    if (heldMs + caller.retryAfterMs > maxDelayMs) return this.#close();
    this.#timer = clock.after(caller.retryAfterMs, () => this.#deliver());
  }

  #deliver(): void {
    const { caller, handler, socket } = this.#options;
    while (this.#state === "open" && this.#heldFrom < this.#held.length) {
      const message = this.#held[this.#heldFrom]!;
      const action: Exceed | "admit" = caller.admits(message.bytes, message.isControl)
        ? "admit"
        : caller.exceed();
      if (action === "delay") return this.#wait();
      if (action !== "admit") this.#options.observe(caller.refusal(action));
      if (action === "close") return this.#close();
      this.#heldFrom++;
      this.#heldBytes -= message.bytes + HELD_MESSAGE_BYTES;
      if (action !== "admit" || message.isControl) continue;
      try {
        handler(message.data, message.isBinary);
      } catch (error) {
        // As from any event; but where somebody catches it there, the messages behind it must not wait for ever.
        this.#timer = this.#options.clock.after(0, () => this.#deliver());
        throw error;
      }
    }
    if (this.#state !== "open") return;
    this.#forgetHeld();
    socket.resume();
  }

  /** What the client is told is about the message that was refused last. */
  #close(): void {
    const { socket, caller, clock, closeProfile } = this.#options;
    this.#state = "closing";
    this.#timer?.cancel();
    this.#forgetHeld();
    const seconds = caller.retryAfterSeconds();
    const isStandard = closeProfile === "standard";
    if (seconds === undefined) {
      socket.close(isStandard ? 1009 : 4413, "message-too-big");
    } else {
      socket.close(isStandard ? 1008 : 4429, `limit;retryAfter=${seconds};reauthenticate=0`);
    }
    // The answer to a close frame is only seen by who reads.
    socket.resume();
    this.#timer = clock.after(CLOSE_GRACE_MS, () => socket.terminate());
  }

  #forgetHeld(): void {
    this.#held = [];
    this.#heldFrom = 0;
    this.#heldBytes = 0;
  }
}

function sizeOf(data: MessageData): number {
  if (Array.isArray(data)) return data.reduce((sum: number, part) => sum + sizeOf(part), 0);
  const size = data.byteLength ?? data.size;
  return Math.min(typeof size === "number" ? size : 0, 2 ** 31 - 1);
}
