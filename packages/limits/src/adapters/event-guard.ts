import type { Refusal } from "./call-limit.ts";
import type { EventGate, EventPacket } from "./event-gate.ts";
import { LimitError } from "./limit-error.ts";

/** What is used of a Socket.IO server's socket. */
export interface SocketLike {
  readonly id: string;
  readonly data: unknown;
  readonly handshake: {
    readonly address: string;
    readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  };
  /** The Engine.IO connection beneath. */
  readonly conn: {
    on(event: "drain", listener: () => void): unknown;
    once(event: "close", listener: () => void): unknown;
    removeListener(event: "close" | "drain", listener: () => void): unknown;
  };
  use(middleware: (packet: unknown[], next: (error?: Error) => void) => void): unknown;
  once(event: "disconnect", listener: () => void): unknown;
  disconnect(close: boolean): unknown;
}

/**
 * Answers to refused events since the connection last took what waits for it. Who floods and does not read gets none
 * beyond: else they would fill our memory.
 */
const MOST_UNREAD = 64;

/** Puts the limits before the listeners of one socket, until it disconnects. */
export function guardEvents<Socket extends SocketLike>(
  socket: Socket,
  options: {
    readonly gate: EventGate<Socket>;
    readonly observe: (refusal: Refusal, event: string) => void;
    readonly observeFault: (error: unknown) => void;
  },
): void {
  const { gate, observe, observeFault } = options;
  // Opened by the first event, which comes only after the socket joined: one that is refused by a later middleware
  // never says `disconnect`, and its handles and listeners would stay.
  let handles: Int32Array | undefined;
  let isOver = false;
  let unread = 0;
  const drained = (): void => {
    unread = 0;
  };
  socket.once("disconnect", () => {
    isOver = true;
    socket.conn.removeListener("drain", drained);
    if (handles !== undefined) gate.close(handles);
  });
  socket.use((packet, next) => {
    if (isOver) return;
    let refusal;
    try {
      if (handles === undefined) {
        handles = gate.open(socket);
        socket.conn.on("drain", drained);
      }
      refusal = gate.refusalOf(packet, handles);
    } catch (error) {
      // Arguments are the client's choice: what a cost function makes of them must not end the process, nor be free.
      observeFault(error);
      return next(new Error("limits-failed"));
    }
    if (refusal === undefined) return next();
    observe(refusal, String(packet[0]));
    const error = new LimitError(refusal);
    if (unread < MOST_UNREAD && answer(packet, error)) unread++;
    next(error);
    if (!refusal.isEnd) return;
    isOver = true;
    // Socket.IO hands admitted events to their listeners on the next tick, and not at all once disconnected.
    process.nextTick(() => socket.disconnect(true));
  });
}

/** True when the event asked for an acknowledgement: nothing else tells a client that an event was refused. */
function answer(packet: EventPacket, error: LimitError): boolean {
  const acknowledge = packet.at(-1);
  if (typeof acknowledge !== "function") return false;
  acknowledge({ error: { message: error.message, ...error.data } });
  return true;
}
