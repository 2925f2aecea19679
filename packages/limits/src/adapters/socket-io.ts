/** Limits on a Socket.IO server: who may connect to a namespace, and every event before its listeners see it. */
import { systemClock, systemRandom, type Clock, type Random } from "@tidegate/clock";
import { CallGate, toSet, type Passage } from "./call-gate.ts";
import { keyOfAddress, type ConnectionLimit, type Refusal } from "./call-limit.ts";
import { EventGate, type EventLimit } from "./event-gate.ts";
import { guardEvents, type SocketLike } from "./event-guard.ts";
import { LimitError } from "./limit-error.ts";

export type { ConnectionLimit, Refusal } from "./call-limit.ts";
export type { EventLimit } from "./event-gate.ts";
export type { RefusalData } from "./limit-error.ts";

export interface SocketIoLimitsOptions<Socket> {
  /** On joining the namespace: how often one may, and with kind `concurrency` how many sockets one may have. All or nothing. */
  readonly connections?: readonly ConnectionLimit<Socket>[];
  /** On each event. Those that ask an event are all or nothing. */
  readonly events?: readonly EventLimit<Socket>[];
  /** Told of each refused connection (without an event) and event, whose name clients choose; must not throw. */
  readonly observe?: (refusal: Refusal, socket: Socket, event: string | undefined) => void;
  /** Told when a key or cost function threw; the connection or event is refused then. Default: a warning of the process. */
  readonly observeFault?: (error: unknown) => void;
  readonly clock?: Clock;
  readonly random?: Random;
}

/**
 * Middleware for `io.use` or `io.of("/name").use`, after the one that says who is calling. A refused connection gets
 * `connect_error` whose `data` is the refusal; for a refused event see `EventLimit.exceed`.
 * @throws {RangeError} naming every limit that cannot be honoured
 */
export function socketIoLimits<Socket extends SocketLike = SocketLike>(
  options: SocketIoLimitsOptions<Socket>,
): (socket: Socket, next: (error?: Error) => void) => void {
  const { connections = [], events = [], observe, observeFault = warn } = options;
  const { clock = systemClock, random = systemRandom } = options;
  const gate = new CallGate({ limits: connections, clock, random, withLegacyFields: false });
  const positions = toSet(connections, connections);
  const eventGate = new EventGate({ limits: events, clock, random });
  return (socket, next) => {
    let passage: Passage;
    try {
      passage = gate.ask(socket, positions);
    } catch (error) {
      observeFault(error);
      return next(new Error("limits-failed"));
    }
    if (passage.refusal !== undefined) {
      observe?.(passage.refusal, socket, undefined);
      return next(new LimitError(passage.refusal));
    }
    if (passage.isOpen) endWith(socket, passage);
    guardEvents(socket, {
      gate: eventGate,
      observe: (refusal, event) => observe?.(refusal, socket, event),
      observeFault,
    });
    next();
  };
}

/** Key: the address of the connection, IPv6 by /64. Fields such as X-Forwarded-For are not read: any caller can write them. */
export function byAddress(socket: SocketLike): string {
  return keyOfAddress(socket.handshake.address);
}

/**
 * Gives the socket's slots back when it leaves. A socket that a later middleware refuses never says `disconnect`, so its
 * slot is held until its connection closes; the listeners are as few as the slots.
 */
function endWith(socket: SocketLike, passage: Passage): void {
  const end = (): void => {
    passage.end(undefined);
    socket.conn.removeListener("close", end);
  };
  socket.conn.once("close", end);
  socket.once("disconnect", end);
}

function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? error : String(error));
}
