import type { Clock, Random } from "@tidegate/clock";
import { formatExtensions, toAcceptValue, WEBSOCKET_VERSION } from "@tidegate/wire";
import type { Socket } from "node:net";
import type { UpgradeExchange } from "../accept/exchange.ts";
import { Fault, type FaultName } from "../fault.ts";
import type { Session } from "../judge/call.ts";
import type { ThreadPenalties } from "../penalty/open-penalties.ts";
import type { Recorder } from "../record/recorder.ts";
import type { Route, SocketRules } from "../route/route.ts";
import type { AnswerHead } from "../upstream/answer-head.ts";
import type { LiveSessions } from "../session/live-sessions.ts";
import type { LiveSockets } from "../session/live-sockets.ts";
import type { Target, Upstream } from "../upstream/upstream.ts";
import { EarlyBytes } from "./early-bytes.ts";
import { toClientHandshakeFields } from "./fields.ts";
import { inspectAcceptance, type Acceptance, type UpstreamOffer } from "./inspect-acceptance.ts";
import type { HandshakeOffer } from "./inspect-handshake.ts";
import { passRefusal } from "./pass-refusal.ts";
import { Relay } from "./relay.ts";
import { askForUpgrade, type UpgradeAnswer } from "./upgrade-answer.ts";
import { UpstreamReader } from "./upstream-reader.ts";

/** One handshake that every stage admitted. */
export interface RelayRequest {
  readonly upgrade: UpgradeExchange;
  /** From `inspectHandshake`. */
  readonly offer: HandshakeOffer;
  readonly route: Route;
  readonly rules: SocketRules;
  /** The policies of messages have begun (`beginSocket`). */
  readonly session: Session;
  readonly requestId: string;
  readonly traceId: string;
  readonly connectionId: string;
  readonly upstream: Upstream;
  readonly target: Target;
  /**
   * The whole head of the request to the upstream, ending in an empty line: request line, the client's fields after
   * stripping (none of `Connection`, `Upgrade`, `Sec-WebSocket-*`), the assertion, and these `extra` fields, a
   * flat list of names and values.
   */
  readonly upstreamHead: (extra: readonly string[]) => string;
  /** Aborted when the gateway stops before the relay is open. */
  readonly signal: AbortSignal;
  /**
   * Asked when the upstream refused the upgrade, with the bytes that the client had sent by then: may tell the client
   * by a close code, which it returns. Undefined: the upstream's answer becomes the client's.
   */
  readonly closeRefused?:
    | ((head: AnswerHead, earlyBytes: number) => number | undefined)
    | undefined;
  /** The socket is over: give back what the handshake and the session hold. Called once, only after `open`. */
  readonly ended: () => void;
}

/** What every relay of a worker shares. */
export interface RelayParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly recorder: Recorder;
  readonly liveSockets: LiveSockets;
  readonly liveSessions: LiveSessions;
  /** Undefined: nobody is ever boxed. */
  readonly penalties?: ThreadPenalties | undefined;
}

/** How an opening went. */
export type RelayOpening =
  /** Frames flow. The relay writes its own record when it ends. */
  | { readonly kind: "open"; readonly upstreamMs: number }
  /** The upstream answered with another status, which became the client's answer. */
  | {
      readonly kind: "answered";
      readonly status: number;
      readonly answerBytes: number;
      readonly upstreamMs: number;
    }
  /** It did, and the client was told by a close code. */
  | {
      readonly kind: "closed";
      readonly status: number;
      readonly closeCode: number;
      readonly upstreamMs: number;
    }
  /** Nothing was answered: the caller tells the client, if it is still there (all but `client_gone`). */
  | { readonly kind: "failed"; readonly fault: FaultName; readonly detail: string }
  /** The client sent more than `maxEarlyBytes` before it was accepted: the caller refuses with `bad_handshake`. */
  | { readonly kind: "flooded" };

/**
 * Carries a handshake to the upstream and, on a valid `101`, relays frames both ways until either side ends. Nothing
 * the client sent behind its handshake reaches the upstream before that `101` was found valid.
 */
export async function openRelay(request: RelayRequest, parts: RelayParts): Promise<RelayOpening> {
  const { upgrade, rules } = request;
  const opening = new AbortController();
  let isFlooded = false;
  const early = new EarlyBytes(upgrade.socket, {
    early: upgrade.early,
    maxBytes: rules.config.maxEarlyBytes,
    broken: (cause) => {
      isFlooded ||= cause === "flood";
      opening.abort();
    },
  });
  // It may have left while its credential was verified.
  if (upgrade.socket.destroyed) opening.abort();
  try {
    const signal = AbortSignal.any([request.signal, opening.signal]);
    return await negotiate(request, parts, { early, signal });
  } catch (error) {
    early.release();
    if (isFlooded) return { kind: "flooded" };
    if (opening.signal.aborted) {
      return {
        kind: "failed",
        fault: "client_gone",
        detail: "The client left during the handshake",
      };
    }
    if (request.signal.aborted) {
      return { kind: "failed", fault: "draining", detail: "The gateway stops" };
    }
    if (error instanceof Fault) return { kind: "failed", fault: error.kind, detail: error.message };
    throw error;
  }
}

async function negotiate(
  request: RelayRequest,
  parts: RelayParts,
  { early, signal }: { readonly early: EarlyBytes; readonly signal: AbortSignal },
): Promise<RelayOpening> {
  const { upstream, target, upgrade } = request;
  const { clock } = parts;
  const offer = toUpstreamOffer(request, parts.random);
  const reader = new UpstreamReader();
  const socket = await upstream.connect(target, signal, reader.options);
  // An error is always followed by `close`, which whoever waits listens to.
  socket.on("error", () => {});
  try {
    const askedMs = clock.monotonicMs();
    const answer = await askForUpgrade(socket, {
      reader,
      requestHead: request.upstreamHead(toHandshakeFields(offer)),
      maxHeaderBytes: upstream.config.maxAnswerHeaderBytes,
      timeoutMs: upstream.config.firstByteTimeoutMs,
      authority: target.authority,
      clock,
      signal,
    });
    const upstreamMs = clock.monotonicMs() - askedMs;
    if (!answer.head.isUpgrade) {
      early.release();
      const { status } = answer.head;
      const closeCode = request.closeRefused?.(answer.head, early.bytes);
      if (closeCode !== undefined) {
        socket.destroy();
        return { kind: "closed", status, closeCode, upstreamMs };
      }
      const answerBytes = await passRefusal(answer, {
        client: upgrade.socket,
        upstream: socket,
        reader,
        clock,
      });
      return { kind: "answered", status, answerBytes, upstreamMs };
    }
    const acceptance = inspectAcceptance(answer.head.fields, offer);
    if (typeof acceptance === "string") {
      throw new Fault("upstream_garbage", `Cannot upgrade at ${target.authority}: ${acceptance}`);
    }
    beginRelay(request, parts, { early: early.release(), socket, reader, answer, acceptance });
    return { kind: "open", upstreamMs };
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

function beginRelay(
  request: RelayRequest,
  parts: RelayParts,
  opened: {
    readonly early: readonly Buffer[];
    readonly socket: Socket;
    readonly reader: UpstreamReader;
    readonly answer: UpgradeAnswer;
    readonly acceptance: Acceptance;
  },
): void {
  const { answer, acceptance } = opened;
  request.upgrade.socket.write(toSwitchingAnswer(request, answer, acceptance), "latin1");
  const relay = new Relay(request, parts, {
    upstream: opened.socket,
    reader: opened.reader,
    isDeflateNegotiated: acceptance.deflate !== undefined,
  });
  relay.start({ fromClient: opened.early, fromUpstream: answer.rest });
}

/**
 * Compression is offered only where no limit may drop a message: RFC 7692 lets messages share one dictionary, and
 * leaving one out would corrupt all that follow, silently.
 */
function toUpstreamOffer({ offer, rules }: RelayRequest, random: Random): UpstreamOffer {
  const mayDrop = rules.config.limits.some(
    ({ exceed }) => exceed === "drop" || exceed === "penalise",
  );
  return {
    // Our own: an answer that belongs to it was made for this handshake, by somebody who read it.
    key: random.bytes(16).toString("base64"),
    subprotocols: offer.subprotocols,
    deflateOffers: mayDrop ? [] : offer.deflateOffers,
  };
}

function toHandshakeFields(offer: UpstreamOffer): readonly string[] {
  const fields = [
    "Connection",
    "Upgrade",
    "Upgrade",
    "websocket",
    "Sec-WebSocket-Version",
    WEBSOCKET_VERSION,
    "Sec-WebSocket-Key",
    offer.key,
  ];
  if (offer.subprotocols.length > 0) {
    fields.push("Sec-WebSocket-Protocol", offer.subprotocols.join(", "));
  }
  if (offer.deflateOffers.length > 0) {
    fields.push("Sec-WebSocket-Extensions", formatExtensions(offer.deflateOffers));
  }
  return fields;
}

function toSwitchingAnswer(
  { offer, connectionId }: RelayRequest,
  { head }: UpgradeAnswer,
  { subprotocol, deflate }: Acceptance,
): string {
  const lines = [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Accept: ${toAcceptValue(offer.key)}`,
  ];
  if (subprotocol !== undefined) lines.push(`Sec-WebSocket-Protocol: ${subprotocol}`);
  if (deflate !== undefined) lines.push(`Sec-WebSocket-Extensions: ${formatExtensions([deflate])}`);
  const fields = toClientHandshakeFields(head.fields);
  for (let at = 0; at < fields.length; at += 2) lines.push(`${fields[at]}: ${fields[at + 1]}`);
  lines.push(`Tidegate-Connection: ${connectionId}`, "", "");
  return lines.join("\r\n");
}
