import type { Direction } from "./direction.ts";
import { CLIENT_LOST, type Ending } from "./ending.ts";
import type { RelayParts, RelayRequest } from "./open-relay.ts";

/** How a socket came to its end. `code` is the first that was said, `reason` what the gateway said with it. */
export interface SocketEnd {
  readonly endedBy: Ending["endedBy"];
  readonly code: number;
  readonly reason: string;
}

/** Writes the one record of a socket that is over. */
export function recordSocket(
  { connectionId, requestId, traceId, upgrade, route, session, target }: RelayRequest,
  { recorder, clock }: RelayParts,
  {
    end,
    startedMs,
    fromClient: { tally: up },
    fromUpstream: { tally: down },
  }: {
    /** Undefined when it went without a word. */
    readonly end: SocketEnd | undefined;
    /** Monotonic. */
    readonly startedMs: number;
    readonly fromClient: Direction;
    readonly fromUpstream: Direction;
  },
): void {
  recorder.socketEnded({
    connectionId,
    requestId,
    traceId,
    peer: upgrade.peer,
    route,
    issuer: session.principal.issuer,
    subject: session.principal.subject,
    target: target.authority,
    closeCode: end?.code ?? CLIENT_LOST.toClient.code,
    closeReason: end?.reason ?? "",
    endedBy: end?.endedBy ?? "gateway",
    durationMs: clock.monotonicMs() - startedMs,
    messages: [up.messages, down.messages],
    bytes: [up.bytes, down.bytes],
    dropped: [up.droppedMessages, down.droppedMessages],
    delayedMs: up.delayedMs + down.delayedMs,
  });
}
