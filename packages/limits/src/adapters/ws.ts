/** Limits on a `ws` server: who may connect, and every message before its handler sees it. */
import { systemClock, systemRandom, type Clock, type Random } from "@tidegate/clock";
import { CallGate, toSet, type Passage } from "./call-gate.ts";
import { keyOfAddress, type ConnectionLimit, type Refusal } from "./call-limit.ts";
import { toHttpRefusal, type ProblemTypes } from "./http-refusal.ts";
import {
  MessageGate,
  type MessageCaller,
  type MessageLimit,
  type MessageRefusal,
} from "./message-gate.ts";
import { guardMessages, type MessageHandler, type WebSocketLike } from "./message-guard.ts";
import { refuseUpgrade, type UpgradeSocketLike } from "./refuse-upgrade.ts";

export type { ConnectionLimit, Refusal } from "./call-limit.ts";
export type { MessageLimit, MessageRefusal } from "./message-gate.ts";

export interface WebSocketLimitsOptions<Request> {
  /** On the upgrade: how often one may connect, and with kind `concurrency` how many sockets one may have. All or nothing. */
  readonly connections?: readonly ConnectionLimit<Request>[];
  /** On each message. All or nothing. */
  readonly messages?: readonly MessageLimit<Request>[];
  /** The longest that `delay` holds a message; then the socket is closed. Default 5000: while reading is paused, nobody sees that the client left. */
  readonly maxDelayMs?: number;
  /**
   * The most that `delay` holds of one socket, with 64 bytes for each message; then the socket is closed. Default 262,144: what one read
   * of the network carries, four times over. A single message larger than this is held alone.
   */
  readonly maxHeldBytes?: number;
  /** Close codes: 4429 and 4413, or for clients that know only RFC 6455's, 1008 and 1009. */
  readonly closeProfile?: "tidegate" | "standard";
  /** Told of each refused upgrade; must not throw. */
  readonly observeUpgrade?: (refusal: Refusal, request: Request) => void;
  /** Told of each message that was dropped, closed for, or made reading pause; must not throw. */
  readonly observeMessage?: (refusal: MessageRefusal, request: Request) => void;
  /** Told when a key or cost function threw; the upgrade is answered with 500 or the socket closed with 1011 then. Default: a warning of the process. */
  readonly observeFault?: (error: unknown) => void;
  readonly problemTypes?: ProblemTypes;
  readonly clock?: Clock;
  readonly random?: Random;
}

export interface WebSocketLimits<Request> {
  /**
   * To be called in the server's `upgrade` event, before `handleUpgrade`. False: it was answered with 429 and ended.
   */
  admits(request: Request, socket: UpgradeSocketLike): boolean;
  /**
   * Gives `handler` the messages that the limits admit, in order; in place of `socket.on("message")`, and at once in the
   * callback of `handleUpgrade`, or the first messages are lost.
   */
  serve(socket: WebSocketLike, request: Request, handler: MessageHandler): void;
}

/** @throws {RangeError} naming every limit that cannot be honoured */
export function webSocketLimits<Request extends UpgradeRequestLike = UpgradeRequestLike>(
  options: WebSocketLimitsOptions<Request>,
): WebSocketLimits<Request> {
  const { connections = [], messages = [] } = options;
  const { clock = systemClock, random = systemRandom } = options;
  const { maxDelayMs = 5_000, maxHeldBytes = 262_144, closeProfile = "tidegate" } = options;
  const upgrades = new CallGate({ limits: connections, clock, random, withLegacyFields: false });
  const positions = toSet(connections, connections);
  const gate = new MessageGate({ limits: messages, clock, random });
  const { observeFault = warn } = options;
  return {
    admits(request, socket) {
      let passage: Passage;
      try {
        passage = upgrades.ask(request, positions);
      } catch (error) {
        // The request is the caller's choice: what a key function makes of it must not end the process.
        observeFault(error);
        refuseUpgrade(socket, clock, FAILED);
        return false;
      }
      if (passage.refusal !== undefined) {
        options.observeUpgrade?.(passage.refusal, request);
        const { refusal, fields } = passage;
        refuseUpgrade(socket, clock, toHttpRefusal(refusal, fields, options.problemTypes));
        return false;
      }
      // Once destroyed it says no more when it closes, and the slot would stay held.
      if (socket.destroyed) passage.end(undefined);
      else if (passage.isOpen) socket.once("close", () => passage.end(undefined));
      return !socket.destroyed;
    },
    serve(socket, request, handler) {
      let caller: MessageCaller;
      try {
        caller = gate.open(request);
      } catch (error) {
        observeFault(error);
        return socket.close(1011, "limits-failed");
      }
      const observe = (refusal: MessageRefusal): void => options.observeMessage?.(refusal, request);
      guardMessages({
        socket,
        handler,
        caller,
        clock,
        maxDelayMs,
        maxHeldBytes,
        closeProfile,
        observe,
      });
    },
  };
}

/** Key: the address of the connection, IPv6 by /64. Fields such as X-Forwarded-For are not read: any caller can write them. */
export function byAddress(request: UpgradeRequestLike): string {
  return keyOfAddress(request.socket.remoteAddress);
}

/** What is used of `http.IncomingMessage`. */
export interface UpgradeRequestLike {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly socket: { readonly remoteAddress?: string | undefined };
}

const FAILED = { status: 500, fields: {}, body: "" } as const;

function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? error : String(error));
}
