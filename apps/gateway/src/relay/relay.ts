// Longer than 400 lines: one state machine of two connections, whose order of events is read in one place.

import type { Socket } from "node:net";
import type { Timer } from "@tidegate/clock";
import { encodeClose } from "@tidegate/wire";
import {
  CALL_KIND,
  TOWARDS,
  type Call,
  type Peer,
  type Session,
  type Towards,
} from "../judge/call.ts";
import type { SocketAction } from "../judge/policy.ts";
import type { LiveEntry, LiveSession, SessionEnding } from "../session/live-session.ts";
import type { LiveSocket } from "../session/live-sockets.ts";
import { readClientTo } from "../accept/client-reader.ts";
import { Direction, type DirectionOwner } from "./direction.ts";
import {
  CLIENT_LOST,
  ENDING_OF_CUT,
  ENDING_OF_SILENCE,
  endingOfClientViolation,
  endingOfDrain,
  endingOfLimit,
  endingOfRefusal,
  endingOfSession,
  endingOfSlowReader,
  endingOfUpstreamViolation,
  UPSTREAM_LOST,
  type Ending,
} from "./ending.ts";
import type { RelayParts, RelayRequest } from "./open-relay.ts";
import { OwnPing } from "./own-ping.ts";
import { SenderStrikes } from "./sender-strikes.ts";
import { recordSocket, type SocketEnd } from "./record-socket.ts";
import type { TakeBytes } from "../accept/read-buffer.ts";
import type { UpstreamReader } from "./upstream-reader.ts";

/**
 * How long both sides may take to part once one has said so (close frame, or end of its half): the other's close,
 * the rest of what it sends, the ends of both connections. Then both are cut.
 */
const PARTING_TIMEOUT_MS = 5_000;

/** How long they may take once we have said goodbye. Shorter: what they still send is only thrown away. */
const LEAVING_TIMEOUT_MS = 2_000;

/** How long a side may take nothing at all while bytes wait for it. Longer than a phone changes networks. */
const SLOW_READER_TIMEOUT_MS = 5_000;

/** How long a drain waits for a message to end before the socket is cut inside it. */
const DRAIN_TIMEOUT_MS = 1_000;

/**
 * `open`: frames flow. `parting`: one side has closed; frames still flow until both have, or time is up.
 * `leaving`: we have said goodbye to both; what they still send is thrown away. `ended`: it was recorded.
 */
type State = "open" | "parting" | "leaving" | "ended";

/**
 * A live socket: two connections, and the frames between them. It owns both from its start and ends both.
 * Whatever happens, it ends: every state but `open` has a deadline, and `open` has the bounds on silence, on slow
 * readers and on delays.
 */
export class Relay implements LiveSocket, LiveSession, DirectionOwner {
  readonly connectionId: string;
  readonly session: Session;
  readonly peer: Peer;
  entry: LiveEntry | undefined;
  readonly #request: RelayRequest;
  readonly #parts: RelayParts;
  readonly #client: Socket;
  readonly #upstream: Socket;
  readonly #reader: UpstreamReader;
  readonly #fromClient: Direction;
  readonly #fromUpstream: Direction;
  readonly #ping: OwnPing;
  /** Undefined when nobody is ever boxed. */
  readonly #strikes: SenderStrikes | undefined;
  readonly #startedMs: number;

  #state: State = "open";
  /** When `parting` or `leaving` is over. */
  #deadlineMs = Number.POSITIVE_INFINITY;
  /** When a drain stops waiting for a message to end; 0 while none is asked for. */
  #drainDeadlineMs = 0;
  /** At most one per direction. */
  readonly #delays: [Timer | undefined, Timer | undefined] = [undefined, undefined];
  #openConnections = 2;
  /** Who ended it, with the first code that was said. Written once. */
  #verdict: SocketEnd | undefined;

  constructor(
    request: RelayRequest,
    parts: RelayParts,
    opened: {
      readonly upstream: Socket;
      /** Of that socket. */
      readonly reader: UpstreamReader;
      readonly isDeflateNegotiated: boolean;
    },
  ) {
    this.#request = request;
    this.#parts = parts;
    this.connectionId = request.connectionId;
    this.session = request.session;
    this.peer = request.upgrade.peer;
    this.#client = request.upgrade.socket;
    this.#upstream = opened.upstream;
    this.#reader = opened.reader;
    this.#startedMs = parts.clock.monotonicMs();
    const direction = (towards: Towards, source: Socket, sink: Socket) =>
      new Direction({
        owner: this,
        towards,
        source,
        sink,
        rules: request.rules,
        call: this.#newCall(towards),
        counters: parts.recorder.messageCounters(request.route, towards),
        isDeflateNegotiated: opened.isDeflateNegotiated,
      });
    this.#fromClient = direction(TOWARDS.upstream, this.#client, this.#upstream);
    this.#fromUpstream = direction(TOWARDS.client, this.#upstream, this.#client);
    this.#ping = new OwnPing(parts.random, this.#startedMs);
    const { penalties } = parts;
    if (penalties === undefined) return;
    const { session, peer } = this;
    this.#strikes = new SenderStrikes({
      penalties,
      session,
      peer,
      penalised: (ending) => {
        if (ending !== undefined) this.endSession(ending);
        else this.#end(endingOfLimit(request.rules.config.closeProfile));
      },
    });
  }

  /** Begins to relay, first what came before the relay was there. */
  start(early: { readonly fromClient: readonly Buffer[]; readonly fromUpstream: Buffer }): void {
    const { recorder, liveSockets, liveSessions } = this.#parts;
    recorder.socketOpened(this.#request.route);
    liveSockets.add(this);
    this.#attach(this.#fromClient);
    this.#attach(this.#fromUpstream);
    // Before the first byte: whose right ended while the upstream was asked must not get even those in.
    liveSessions.addSocket(this);
    const takeFromUpstream = this.#taker(this.#fromUpstream);
    const takeFromClient = this.#taker(this.#fromClient);
    if (early.fromUpstream.length > 0) {
      takeFromUpstream(early.fromUpstream, early.fromUpstream.length);
    }
    this.#reader.relayTo(takeFromUpstream);
    const fromClient = Buffer.concat([
      ...early.fromClient,
      readClientTo(this.#client, takeFromClient),
    ]);
    if (fromClient.length > 0) takeFromClient(fromClient, fromClient.length);
    this.#fromClient.readOn();
    this.#fromUpstream.readOn();
  }

  sweep(nowMs: number): void {
    if (nowMs >= this.#deadlineMs) {
      this.cut();
      return;
    }
    if (this.#state === "leaving" || this.#state === "ended") return;
    this.#strikes?.sweep(nowMs, this.#fromClient.pausedMs(nowMs));
    const { closeProfile, idleTimeoutMs, pingIntervalMs } = this.#request.rules.config;
    if (this.#isStuck(this.#fromClient, nowMs) || this.#isStuck(this.#fromUpstream, nowMs)) {
      this.#end(endingOfSlowReader(closeProfile));
    } else if (this.#drainDeadlineMs > 0 && (this.#isQuiet || nowMs >= this.#drainDeadlineMs)) {
      this.#end(endingOfDrain(closeProfile));
    } else if (this.#state === "open" && !this.#fromClient.isHeld && !this.#fromClient.isBlocked) {
      // While we do not read, we cannot know whether the client is silent.
      const silentMs = nowMs - this.#fromClient.lastReadMs;
      if (silentMs >= idleTimeoutMs) this.#end(ENDING_OF_SILENCE);
      else if (silentMs >= pingIntervalMs) this.#pingClient(nowMs, pingIntervalMs);
    }
  }

  drain(): void {
    if (this.#state === "leaving" || this.#state === "ended") return;
    const nowMs = this.#parts.clock.monotonicMs();
    if (this.#isQuiet) this.#end(endingOfDrain(this.#request.rules.config.closeProfile));
    else this.#drainDeadlineMs = nowMs + DRAIN_TIMEOUT_MS;
  }

  endSession(ending: SessionEnding): void {
    this.session.isOpen = false;
    this.#end(endingOfSession(ending, this.#request.rules.config.closeProfile));
  }

  cut(): void {
    this.#conclude(ENDING_OF_CUT.endedBy, ENDING_OF_CUT.toClient);
    this.#stopWaiting();
    this.#state = this.#state === "ended" ? "ended" : "leaving";
    this.#client.destroy();
    this.#upstream.destroy();
  }

  overLimit(direction: Direction, action: SocketAction): SocketAction {
    // What the service sends is never held against the client.
    if (direction !== this.#fromClient || this.#strikes === undefined)
      return action === "penalise" ? "close" : action;
    return this.#strikes.overLimit(direction.refusal, { action, bytes: direction.frameBytes });
  }

  refused(direction: Direction): void {
    this.#end(endingOfRefusal(direction.refusal, this.#request.rules.config.closeProfile));
  }

  violated({ towards, walker }: Direction): void {
    const violation = walker.violation!;
    this.#end(
      towards === TOWARDS.upstream
        ? endingOfClientViolation(violation, this.#request.rules.config.closeProfile)
        : endingOfUpstreamViolation(violation),
    );
  }

  closed(direction: Direction): void {
    const isClient = direction === this.#fromClient;
    this.#conclude(isClient ? "client" : "upstream", {
      code: direction.walker.closeCode,
      // A peer's text is a message like any other and may hold what it likes: only words of ours are written down.
      reason: "",
    });
    this.#part();
    if (this.#otherOf(direction).isClosed) {
      // RFC 6455 §7.1.1: both have said it, so the server ends the connection first; we are the client's.
      this.#client.end();
      this.#upstream.end();
    }
  }

  delayed(direction: Direction, waitMs: number): void {
    this.#delays[direction.towards]?.cancel();
    this.#delays[direction.towards] = this.#parts.clock.after(waitMs, () => {
      direction.proceed(this.#parts.clock.monotonicMs());
    });
  }

  goOn(direction: Direction): void {
    this.#delays[direction.towards]?.cancel();
    direction.proceed(this.#parts.clock.monotonicMs());
  }

  isOwnPong(payload: Buffer, payloadBytes: number): boolean {
    return this.#ping.isAnsweredBy(payload, payloadBytes);
  }

  #attach(direction: Direction): void {
    const { source, sink } = direction;
    const { clock } = this.#parts;
    source.setNoDelay(true);
    source.setTimeout(0);
    // An error is always followed by `close`.
    source.on("error", () => {});
    source.on("end", () => this.#halfEnded(direction));
    source.on("close", () => this.#connectionClosed(direction));
    sink.on("drain", () => {
      if (this.#state === "open" || this.#state === "parting") {
        direction.drained(clock.monotonicMs());
      }
    });
    // It may have gone between two events, before anybody listened here.
    if (source.closed) queueMicrotask(() => this.#connectionClosed(direction));
  }

  #taker(direction: Direction): TakeBytes {
    const { clock } = this.#parts;
    return (bytes, byteCount) => {
      if (this.#state === "open" || this.#state === "parting") {
        direction.read(bytes, byteCount, clock.monotonicMs());
      }
    };
  }

  /** The source sends no more. After a close frame that is good manners; without one the connection is lost. */
  #halfEnded(direction: Direction): void {
    direction.hasEnded = true;
    if (this.#state === "leaving" || this.#state === "ended") {
      // Its other half is ended already, or about to be.
      direction.source.end();
      return;
    }
    if (direction.isClosed) direction.sink.end();
    else this.#lost(direction);
  }

  #connectionClosed(direction: Direction): void {
    if (!direction.hasEnded) {
      direction.hasEnded = true;
      if (this.#state === "open" || this.#state === "parting") {
        if (direction.isClosed) direction.sink.end();
        else this.#lost(direction);
      }
    }
    this.#openConnections -= 1;
    if (this.#openConnections === 0) this.#finish();
    // Nobody is left to write to: what the other side still sends is nobody's.
    else this.#otherOf(direction).source.end();
  }

  /** A connection ended without a close frame: whoever is left is told, behind what was sent to it before. */
  #lost(direction: Direction): void {
    const ending = direction === this.#fromClient ? CLIENT_LOST : UPSTREAM_LOST;
    this.#conclude(ending.endedBy, ending.toClient);
    const { sink, walker } = direction;
    direction.stop();
    this.#part();
    // Inside a message only a cut says that it is not whole.
    if (walker.isInsideMessage || !sink.writable) {
      this.#leave();
      sink.destroy();
      direction.source.end();
    } else if (direction === this.#fromClient) {
      sink.write(encodeClose(ending.toUpstream, this.#parts.random.bytes(4)));
      sink.end();
    } else {
      this.#leave();
      sink.write(encodeClose(ending.toClient));
      sink.end();
      direction.source.end();
    }
  }

  /** Ends both connections for a reason of ours. */
  #end(ending: Ending): void {
    if (this.#state === "leaving" || this.#state === "ended") return;
    const { walker } = this.#fromUpstream;
    this.#conclude(ending.endedBy, ending.toClient);
    this.#leave();
    // Inside a half-sent frame the client cannot be told anything: both are cut, and it sees 1006.
    if (walker.isInsideFrame) this.#upstream.resetAndDestroy();
    else this.#say(this.#fromClient, encodeClose(ending.toUpstream, this.#parts.random.bytes(4)));
    this.#say(this.#fromUpstream, encodeClose(ending.toClient));
  }

  /**
   * Sends a close frame to the direction's sink and ends it; resets the connection where that cannot be: inside
   * a message, behind bytes that still wait (a slow reader gets nothing after its right ended), or after a close.
   */
  #say(direction: Direction, closeFrame: Buffer): void {
    if (direction.isClosed) direction.sink.end();
    else if (direction.isAtBoundary) direction.sink.end(closeFrame);
    else direction.sink.resetAndDestroy();
  }

  #part(): void {
    if (this.#state === "open") this.#state = "parting";
    this.#endWithin(PARTING_TIMEOUT_MS);
  }

  #leave(): void {
    this.#state = "leaving";
    this.#endWithin(LEAVING_TIMEOUT_MS);
    this.#stopWaiting();
    // Read on, and throw away: an end is only seen by who reads, and unread bytes would turn it into a reset that
    // takes our close frame with it.
    this.#client.resume();
    this.#upstream.resume();
  }

  /** An earlier deadline stays. */
  #endWithin(timeoutMs: number): void {
    this.#deadlineMs = Math.min(this.#deadlineMs, this.#parts.clock.monotonicMs() + timeoutMs);
  }

  /** Nothing that is held passes any more. */
  #stopWaiting(): void {
    this.#delays[0]?.cancel();
    this.#delays[1]?.cancel();
    this.#fromClient.stop();
    this.#fromUpstream.stop();
  }

  /** Whether a side has taken nothing for too long. */
  #isStuck(direction: Direction, nowMs: number): boolean {
    if (!direction.isBlocked) return false;
    const queuedBytes = direction.sink.writableLength;
    if (queuedBytes < direction.blockedBytes) {
      direction.blockedBytes = queuedBytes;
      direction.blockedSinceMs = nowMs;
      return false;
    }
    return nowMs - direction.blockedSinceMs >= SLOW_READER_TIMEOUT_MS;
  }

  /** Whether no message is half out on either side and nothing waits, so that both can be told. */
  get #isQuiet(): boolean {
    return this.#fromUpstream.isAtBoundary && this.#fromClient.isAtBoundary;
  }

  #pingClient(nowMs: number, pingIntervalMs: number): void {
    // A ping may stand between two fragments, but not inside a frame and not behind bytes that wait.
    const { walker, sink } = this.#fromUpstream;
    if (walker.isInsideFrame || sink.writableLength > 0 || !sink.writable) return;
    if (this.#ping.isDue(nowMs, pingIntervalMs)) sink.write(this.#ping.next(nowMs));
  }

  #otherOf(direction: Direction): Direction {
    return direction === this.#fromClient ? this.#fromUpstream : this.#fromClient;
  }

  #conclude(endedBy: Ending["endedBy"], { code, reason }: { code: number; reason: string }): void {
    this.#verdict ??= { endedBy, code, reason };
  }

  #finish(): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.#deadlineMs = Number.POSITIVE_INFINITY;
    this.#stopWaiting();
    this.#parts.liveSockets.delete(this);
    this.#parts.liveSessions.delete(this);
    recordSocket(this.#request, this.#parts, {
      end: this.#verdict,
      startedMs: this.#startedMs,
      fromClient: this.#fromClient,
      fromUpstream: this.#fromUpstream,
    });
    const { over } = this.#fromClient;
    const { over: otherOver } = this.#fromUpstream;
    // A policy still at work uses what the session holds; it was told to end, and soon does.
    if (over === undefined && otherOver === undefined) this.#request.ended();
    else void Promise.all([over, otherOver]).then(() => this.#request.ended());
  }

  #newCall(towards: Towards): Call {
    return {
      kind: CALL_KIND.message,
      route: this.#request.route,
      session: this.#request.session,
      peer: this.#request.upgrade.peer,
      towards,
      classIndex: 0,
      bytes: 0,
      isFirst: true,
      isLast: true,
      nowMs: this.#startedMs,
      body: undefined,
      booking: undefined,
    };
  }
}
