import type { Principal } from "@tidegate/auth";
import type { Clock } from "@tidegate/clock";
import { encodeClose, toAcceptValue } from "@tidegate/wire";
import type { Socket } from "node:net";
import type { UpgradeExchange } from "../accept/exchange.ts";
import { isAllowedOrigin } from "../identify/other-sites.ts";
import { principalKey } from "../judge/limit-key.ts";
import type { Route } from "../route/route.ts";
import { isTicketSubprotocol } from "../ticket/presented-ticket.ts";
import { readClientTo } from "../accept/client-reader.ts";
import type { Closing } from "./ending.ts";
import { inspectHandshake, type HandshakeOffer } from "./inspect-handshake.ts";
import { ToldCallers } from "./told-callers.ts";

/** How long a client may take to leave after it was told. */
const LEAVING_TIMEOUT_MS = 1_000;

/**
 * What a client may send, from its handshake to its leaving: a close frame, and what it had on its way. Who sends more
 * has not come to be told. Nothing of it is looked at, so it makes no difference whether it is frames.
 */
const MAX_CLIENT_BYTES = 1_024;

/** Places for sockets of callers who were not let in: of all workers together. */
export interface SocketPlaces {
  /** @returns false when there is none left */
  take(): boolean;
  giveBack(): void;
}

/** A refused handshake, still unanswered. */
export interface RefusedHandshake {
  readonly upgrade: UpgradeExchange;
  readonly route: Route;
  readonly principal: Principal;
  readonly requestId: string;
  /** How much the client has sent behind its handshake. */
  readonly earlyBytes: number;
}

/**
 * Tells pages why they were refused. A browser shows its page no HTTP status for a handshake (so that no page can look
 * around behind a firewall), only that it failed; so the handshake is accepted, and closed at once with code and reason.
 * That costs a socket for up to a second, which nobody has paid for: it is done for pages of allowed origins alone,
 * for each caller once in a while, and as long as there are places. Whoever is not told so gets the status.
 */
export class HandshakeCloser {
  readonly #clock: Clock;
  readonly #places: SocketPlaces;
  readonly #allowedOrigins: ReadonlySet<string>;
  readonly #told = new ToldCallers();
  /** Those that have not left yet. Bounded by the places. */
  readonly #leaving = new Set<Socket>();
  #isDraining = false;
  #whenEmpty: (() => void) | undefined;

  constructor(options: {
    readonly clock: Clock;
    readonly places: SocketPlaces;
    /** Web origins that are ours, beside a route's own. */
    readonly allowedOrigins: ReadonlySet<string>;
  }) {
    this.#clock = options.clock;
    this.#places = options.places;
    this.#allowedOrigins = options.allowedOrigins;
  }

  /**
   * Accepts the handshake and closes it, if the route's `handshakeRefusal` says so.
   * @returns the code that was sent; undefined: nothing was, and the caller answers with the status
   */
  close(refused: RefusedHandshake, closing: Closing): number | undefined {
    const { upgrade, route, principal, earlyBytes } = refused;
    const { socket, head, peer } = upgrade;
    const mode = route.websocket?.config.handshakeRefusal ?? "status";
    if (mode === "status" || !this.#isAllowed(head.origin, route)) return undefined;
    if (this.#isDraining || !socket.writable || earlyBytes > MAX_CLIENT_BYTES) return undefined;
    const offer = inspectHandshake(head);
    if ("reason" in offer) return undefined;
    const nowMs = this.#clock.monotonicMs();
    // Who is not known is their network, where others may be told as well: they get the status, and ask again.
    const caller = `${route.index} ${principalKey(principal, peer)}`;
    if (mode === "auto" && this.#told.has(caller, nowMs)) return undefined;
    if (!this.#places.take()) return undefined;
    this.#told.add(caller, nowMs);
    socket.write(toAnswer(offer, refused.requestId), "latin1");
    this.#leave(socket, { closing, earlyBytes });
    return closing.code;
  }

  /** Nobody is told so any more. @returns a promise that is kept when the last one has left, within a second */
  drain(): Promise<void> {
    this.#isDraining = true;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#whenEmpty = resolve;
    if (this.#leaving.size === 0) resolve();
    return promise;
  }

  #isAllowed(origin: string | undefined, { config }: Route): boolean {
    const allowedOrigins = this.#allowedOrigins;
    return origin !== undefined && isAllowedOrigin(origin, { config, allowedOrigins });
  }

  #leave(
    socket: Socket,
    { closing, earlyBytes }: { readonly closing: Closing; readonly earlyBytes: number },
  ): void {
    this.#leaving.add(socket);
    const late = this.#clock.after(LEAVING_TIMEOUT_MS, () => socket.destroy());
    socket.once("close", () => {
      late.cancel();
      this.#places.giveBack();
      this.#leaving.delete(socket);
      if (this.#leaving.size === 0) this.#whenEmpty?.();
    });
    let bytes = earlyBytes;
    const take = (_: Buffer, byteCount: number): void => {
      bytes += byteCount;
      if (bytes > MAX_CLIENT_BYTES) socket.destroy();
    };
    socket.end(encodeClose(closing));
    // Read and thrown away: bytes left unread would turn the end into a reset, which takes the close frame with it.
    const waiting = readClientTo(socket, take);
    take(waiting, waiting.length);
    socket.resume();
  }
}

/**
 * The first subprotocol that is no credential is chosen, whatever it is: browsers that offered some and got none take
 * the handshake for failed, and show no code. Extensions are never.
 */
function toAnswer({ key, subprotocols }: HandshakeOffer, requestId: string): string {
  const subprotocol = subprotocols.find((name) => !isTicketSubprotocol(name));
  return [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Accept: ${toAcceptValue(key)}`,
    ...(subprotocol === undefined ? [] : [`Sec-WebSocket-Protocol: ${subprotocol}`]),
    `X-Request-Id: ${requestId}`,
    "",
    "",
  ].join("\r\n");
}
