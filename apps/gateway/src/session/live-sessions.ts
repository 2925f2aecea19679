import type { Clock, Timer } from "@tidegate/clock";
import type { Peer, Session } from "../judge/call.ts";
import type { LiveEntry, LiveKind, LiveSession, SessionEnding } from "./live-session.ts";

/**
 * A request is over before anybody could revoke it, nearly always; one that still runs after this time is a download,
 * a stream of events, a model's answer: a session like a socket, with the same duties.
 */
export const LIVE_AFTER_MS = 10_000;

/** How late an expiry, or the end of a request that has just become old enough, may be noticed. */
const SWEEP_INTERVAL_MS = 250;

/**
 * Everything of this worker that goes on after it was admitted. Who revokes or boxes somebody ends here what is
 * theirs, in the same turn of the event loop.
 */
export class LiveSessions implements Disposable {
  /**
   * Bounded by the caps on connections and on requests in flight: an entry leaves when its call ends, and the last one
   * takes its place. Not a Map: one that every request enters and leaves is rebuilt all the time, each of its former
   * tables points at the next, and one of them that got old keeps all after it, and every request in them, from the
   * quick collector. That cost a fifth of a request, half of it on the collector's threads.
   */
  readonly #entries: LiveEntry[] = [];
  readonly #clock: Clock;
  readonly #mayGoOn: (session: Session, peer: Peer) => SessionEnding | undefined;
  readonly #ended: ((ending: SessionEnding, kind: LiveKind) => void) | undefined;
  readonly #renew: ((session: Session) => void) | undefined;
  #timer: Timer | undefined;

  /**
   * @param ended told of each that is ended here
   * @param renew keeps the right of a session before it ends, where something can; asked a few times a second
   * @param mayGoOn whether the right of a session has ended by now. Asked when one is added: between its admission and
   *   that moment it may have been revoked, and nobody would have found it here.
   */
  constructor(options: {
    readonly clock: Clock;
    readonly mayGoOn: (session: Session, peer: Peer) => SessionEnding | undefined;
    readonly ended?: (ending: SessionEnding, kind: LiveKind) => void;
    readonly renew?: ((session: Session) => void) | undefined;
  }) {
    this.#ended = options.ended;
    this.#clock = options.clock;
    this.#mayGoOn = options.mayGoOn;
    this.#renew = options.renew;
  }

  get size(): number {
    return this.#entries.length;
  }

  /** A socket: alive from its first moment. */
  addSocket(live: LiveSession): void {
    this.#add(live, "socket", 0);
  }

  /** A request that is being answered: becomes a session when it is still running after `LIVE_AFTER_MS`. */
  addAnswer(live: LiveSession): void {
    this.#add(live, "answer", LIVE_AFTER_MS);
  }

  /** It has ended. */
  delete(live: LiveSession): void {
    const { entry } = live;
    if (entry === undefined) return;
    live.entry = undefined;
    const last = this.#entries.pop() as LiveEntry;
    if (last === entry) return;
    this.#entries[entry.place] = last;
    last.place = entry.place;
  }

  [Symbol.dispose](): void {
    this.#timer?.cancel();
  }

  /**
   * Ends every session that `ends` picks; a request that is not old enough yet ends as soon as it is.
   * @returns how many ended at once
   */
  endWhere(ends: (session: Session, peer: Peer) => boolean, ending: SessionEnding): number {
    const nowMs = this.#clock.monotonicMs();
    let count = 0;
    for (const entry of this.#all()) {
      const { session, peer } = entry.live;
      if (!ends(session, peer)) continue;
      if (this.#end(entry, ending, nowMs)) count++;
    }
    return count;
  }

  /**
   * Asks of everything whether it may go on, and ends what may not: after a change that may concern anybody.
   * @returns how many ended at once
   */
  judgeAgain(): number {
    const nowMs = this.#clock.monotonicMs();
    let count = 0;
    for (const entry of this.#all()) {
      const ending = this.#mayGoOn(entry.live.session, entry.live.peer);
      if (ending !== undefined && this.#end(entry, ending, nowMs)) count++;
    }
    return count;
  }

  #add(live: LiveSession, kind: LiveKind, waitMs: number): void {
    const livesFromMs = this.#clock.monotonicMs() + waitMs;
    const place = this.#entries.length;
    const entry: LiveEntry = { live, kind, livesFromMs, ending: undefined, place };
    this.#entries.push(entry);
    live.entry = entry;
    if (this.#timer === undefined) this.#arm();
    const ending = this.#mayGoOn(live.session, live.peer);
    // It was admitted in this very turn or waited since; either way it has no right to begin.
    if (ending === undefined) return;
    this.#ended?.(ending, kind);
    live.endSession(ending);
  }

  /** Ending one may take it and others out, so this is a copy without those that meanwhile left. */
  *#all(): Iterable<LiveEntry> {
    for (const entry of this.#entries.slice()) if (entry.live.entry === entry) yield entry;
  }

  #end(entry: LiveEntry, ending: SessionEnding, nowMs: number): boolean {
    if (nowMs < entry.livesFromMs) {
      entry.ending ??= ending;
      return false;
    }
    entry.live.session.isOpen = false;
    this.#ended?.(ending, entry.kind);
    entry.live.endSession(ending);
    return true;
  }

  #arm(): void {
    this.#timer = this.#clock.after(SWEEP_INTERVAL_MS, () => {
      this.#timer = undefined;
      this.#sweep();
      // Stopped here and not by the last `delete`: setting a timer for every single request would cost more than
      // everything else about it.
      if (this.#entries.length > 0) this.#arm();
    });
  }

  #sweep(): void {
    const nowMs = this.#clock.monotonicMs();
    const wallMs = this.#clock.wallMs();
    for (const entry of this.#all()) {
      if (nowMs < entry.livesFromMs) continue;
      if (entry.ending === undefined) this.#renew?.(entry.live.session);
      if (entry.ending !== undefined) this.#end(entry, entry.ending, nowMs);
      else if (wallMs >= entry.live.session.principal.expiresAtMs) this.#end(entry, EXPIRED, nowMs);
    }
  }
}

/** One object for all. */
const EXPIRED: SessionEnding = { kind: "expired" };
