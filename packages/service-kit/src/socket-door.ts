import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { Clock, Random, Timer } from "@tidegate/clock";
import { WebSocketServer, type WebSocket } from "ws";
import type { AssertedIdentity } from "@tidegate/auth";
import { Fault, serviceFault } from "./fault.ts";
import type { IdentityGate } from "./identity-gate.ts";
import { LiveSocket } from "./live-socket.ts";
import type { Logger } from "./logger.ts";
import { refuseOnSocket } from "./problem-answer.ts";

export interface SocketDoorOptions {
  readonly gate: IdentityGate;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly problemsUrl: string;
  /**
   * Called for each socket once its caller is known and before it is accepted; may refuse by throwing a fault.
   * Answers what to do with the accepted socket.
   */
  readonly admit: (
    identity: AssertedIdentity,
    request: IncomingMessage,
  ) => Promise<(socket: LiveSocket) => void>;
  /** Sockets at once, those whose caller is being verified included; the next is refused with 503. */
  readonly maxSockets?: number;
  /** Bytes of one message from a client; a longer one closes with 1009. */
  readonly maxMessageBytes?: number;
  readonly pingIntervalMs?: number;
}

// A socket of ours costs some 10 KB: 10,000 are 100 MB.
const MAX_SOCKETS = 10_000;
// Clients of a feed send small commands.
const MAX_MESSAGE_BYTES = 4_096;
// A peer that has not answered the close frame by then is not listening.
const FAREWELL_MS = 2_000;
// Below the minute after which home routers and proxies forget a silent connection.
const PING_INTERVAL_MS = 30_000;

/** Lets WebSockets in: identity first, as for every request; then keeps an eye on them until they end. */
export class SocketDoor implements AsyncDisposable {
  readonly #options: SocketDoorOptions;
  readonly #server: WebSocketServer;
  /** Bounded by `maxSockets` together with `#arriving`. */
  readonly #sockets = new Set<LiveSocket>();
  #arriving = 0;
  #isDraining = false;
  #timer: Timer;

  constructor(options: SocketDoorOptions) {
    this.#options = options;
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      maxPayload: options.maxMessageBytes ?? MAX_MESSAGE_BYTES,
      // A shared dictionary for each socket costs more memory than small messages save, and mixes what one person and another wrote.
      perMessageDeflate: false,
    });
    this.#server.on("wsClientError", (error, socket) =>
      refuseOnSocket(
        socket,
        serviceFault("malformed_request", `Cannot open the WebSocket: ${error.message}`),
        options,
      ),
    );
    this.#timer = this.#watch();
  }

  get openSockets(): number {
    return this.#sockets.size;
  }

  /** Takes a connection whose request asked for an upgrade. Never rejects: every failure is answered on the connection. */
  async enter(request: IncomingMessage, connection: Duplex, head: Buffer): Promise<void> {
    connection.on("error", () => connection.destroy());
    this.#arriving += 1;
    try {
      this.#judgeRoom();
      judgeVersion(request);
      const identity = await this.#options.gate(request.headers);
      const welcome = await this.#options.admit(identity, request);
      this.#judgeDraining();
      if (connection.destroyed) return;
      this.#server.handleUpgrade(request, connection, head, (socket) =>
        this.#welcome(socket, welcome),
      );
    } catch (error) {
      const fault =
        error instanceof Fault
          ? error
          : serviceFault("internal_error", "Cannot open the WebSocket", { cause: error });
      refuseOnSocket(connection, fault, this.#options);
    } finally {
      this.#arriving -= 1;
    }
  }

  /** Takes no more sockets and asks all to come back later; they are ended if they have not gone within two seconds. */
  drain(): void {
    this.#isDraining = true;
    for (const socket of this.#sockets) socket.close(4512, "draining;retryAfter=2");
    this.#timer.cancel();
    this.#timer = this.#options.clock.after(FAREWELL_MS, () => {
      for (const socket of this.#sockets) socket.terminate();
    });
  }

  /** Ends what is still open, at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDraining = true;
    this.#timer.cancel();
    for (const socket of this.#sockets) socket.terminate();
    this.#server.close();
  }

  #judgeRoom(): void {
    this.#judgeDraining();
    const most = this.#options.maxSockets ?? MAX_SOCKETS;
    if (this.#sockets.size + this.#arriving > most) {
      throw serviceFault("store_unavailable", `Cannot open more than ${most} sockets`, {
        headers: { "retry-after": "5" },
      });
    }
  }

  #judgeDraining(): void {
    if (this.#isDraining) {
      throw serviceFault("stopping", "Cannot take new work: the service is stopping", {
        headers: { "retry-after": "2" },
      });
    }
  }

  #welcome(socket: WebSocket, welcome: (socket: LiveSocket) => void): void {
    const live = new LiveSocket(socket, { clock: this.#options.clock });
    this.#sockets.add(live);
    live.onClose(() => this.#sockets.delete(live));
    welcome(live);
  }

  #watch(): Timer {
    return this.#options.clock.after(this.#options.pingIntervalMs ?? PING_INTERVAL_MS, () => {
      for (const socket of this.#sockets) socket.checkAlive();
      this.#timer = this.#watch();
    });
  }
}

/** The library would also take drafts older than the standard (RFC 6455 §4.4: other versions are told the right one). */
function judgeVersion(request: IncomingMessage): void {
  if (request.headers["sec-websocket-version"] === "13") return;
  throw serviceFault("upgrade_required", "Cannot open the WebSocket: only version 13 is spoken", {
    headers: { "sec-websocket-version": "13", upgrade: "websocket" },
  });
}
