import { frozenPrincipal, type Principal } from "@tidegate/auth";
import type { Clock } from "@tidegate/clock";
import type { Identity } from "../identify/identifier.ts";
import type { Session } from "../judge/call.ts";
import type { SessionEnding } from "../session/live-session.ts";
import type { MainThread } from "../worker/data-threads.ts";
import {
  OPEN_SESSION,
  SESSION_MOVED,
  SESSIONS_ENDED,
  type SessionMoved,
  type SessionsEnded,
  type SessionView,
} from "./session-news.ts";

/** Who lives by a browser session. `id` changes when the session moves; whoever holds this moves along. */
export interface BrowserSessionRef {
  id: string;
  /** When it began, wall milliseconds: a sign-in, where its provider does not say when that was. */
  readonly beganMs: number;
}

/** What a worker knows of a session, as long as it may go by that. */
export interface RememberedSession {
  readonly identity: Identity;
  /** Name under `identity` of who vouches. */
  readonly provider: string;
  readonly freshUntilMs: number;
}

/** What came of asking for a session. */
export type OpenedSession = RememberedSession | "gone" | { readonly retryAfterMs: number };

/** What the live sessions of this worker offer. */
interface Live {
  endWhere(ends: (session: Session) => boolean, ending: SessionEnding): number;
}

/**
 * Browser sessions as one worker has them: a bounded memory of what the main thread said, which takes back what is
 * ended before anybody is told that it is.
 */
export class WorkerSessions {
  readonly #main: MainThread;
  readonly #clock: Clock;
  /** By id, the oldest first; at most `MOST_REMEMBERED`, then the oldest is asked for again. */
  readonly #memory = new Map<string, RememberedSession>();
  /** By id, so that moved sessions take what lives by them along. Bounded like the memory, and with it. */
  readonly #refs = new Map<string, BrowserSessionRef>();
  /** Questions under way; whoever comes meanwhile waits for the same. At most the requests in flight. */
  readonly #asking = new Map<string, Promise<OpenedSession>>();
  readonly #ofPrincipal = new WeakMap<Principal, BrowserSessionRef>();
  #live: Live | undefined;
  /** Rises with each ended or moved session: an answer that was asked for before does not count any more. */
  #epoch = 0;

  constructor(main: MainThread, clock: Clock) {
    this.#main = main;
    this.#clock = clock;
    main.whenTold(SESSIONS_ENDED, (news) => this.#ended(news as SessionsEnded));
    main.whenTold(SESSION_MOVED, (news) => this.#moved(news as SessionMoved));
  }

  /** Whose sockets and answers end with their session. */
  set live(live: Live) {
    this.#live = live;
  }

  /** The session that a principal comes from; undefined when it is from another credential. */
  of(principal: Principal): BrowserSessionRef | undefined {
    return this.#ofPrincipal.get(principal);
  }

  /** Without waiting; undefined when the main thread must be asked. */
  recall(id: string): RememberedSession | undefined {
    const remembered = this.#memory.get(id);
    if (remembered === undefined || this.#clock.monotonicMs() < remembered.freshUntilMs)
      return remembered;
    this.#memory.delete(id);
    return undefined;
  }

  /** Asks the main thread, which renews the session if it is time. */
  open(id: string): Promise<OpenedSession> {
    const running = this.#asking.get(id);
    if (running !== undefined) return running;
    const asking = this.#ask(id).finally(() => this.#asking.delete(id));
    this.#asking.set(id, asking);
    return asking;
  }

  /**
   * Keeps the right of something that goes on: takes over what was renewed, and asks for it when it is time. Called
   * a few times a second for all that is live; costs two look-ups when there is nothing to do.
   */
  readonly renew = (session: Session): void => {
    const ref = this.#ofPrincipal.get(session.principal);
    if (ref === undefined) return;
    const remembered = this.recall(ref.id);
    if (remembered !== undefined) session.principal = remembered.identity.principal;
    // What comes of it is looked at the next time; nobody waits for this promise.
    else if (!this.#asking.has(ref.id)) void this.open(ref.id).catch(() => undefined);
  };

  async #ask(id: string): Promise<OpenedSession> {
    for (let tries = 1; ; tries++) {
      const epoch = this.#epoch;
      const question = { id };
      const view = (await this.#main.ask(
        OPEN_SESSION,
        question,
        ANSWER_DEADLINE_MS,
      )) as SessionView;
      if (this.#epoch !== epoch && tries < MOST_TRIES) continue;
      if (view.outcome === "gone") return "gone";
      if (view.outcome === "unavailable") return view;
      return this.#remember(id, view);
    }
  }

  #remember(id: string, view: Extract<SessionView, { outcome: "open" }>): RememberedSession {
    let ref = this.#refs.get(id);
    if (ref === undefined) this.#refs.set(id, (ref = { id, beganMs: view.beganMs }));
    const principal = frozenPrincipal({
      ...view.principal,
      scopes: new Set(view.principal.scopes),
    });
    this.#ofPrincipal.set(principal, ref);
    const remembered: RememberedSession = {
      identity: Object.freeze({ principal, fingerprint: `session:${id}:${view.generation}` }),
      provider: view.provider,
      freshUntilMs: this.#clock.monotonicMs() + view.freshForMs,
    };
    this.#memory.delete(id);
    this.#memory.set(id, remembered);
    if (this.#refs.size > MOST_REMEMBERED) {
      const [oldest] = this.#refs.keys();
      if (oldest !== undefined) this.#forget(oldest);
    }
    return remembered;
  }

  #ended({ ids, why }: SessionsEnded): void {
    this.#epoch++;
    const ended = new Set(ids);
    for (const id of ids) this.#forget(id);
    this.#live?.endWhere(
      ({ principal }) => {
        const ref = this.#ofPrincipal.get(principal);
        return ref !== undefined && ended.has(ref.id);
      },
      why === "other-person" ? IDENTITY_CHANGED : REVOKED,
    );
  }

  #moved({ from, to }: SessionMoved): void {
    this.#epoch++;
    const ref = this.#refs.get(from);
    this.#forget(from);
    if (ref === undefined) return;
    ref.id = to;
    this.#refs.set(to, ref);
  }

  #forget(id: string): void {
    this.#memory.delete(id);
    this.#refs.delete(id);
  }
}

const REVOKED: SessionEnding = { kind: "revoked" };
const IDENTITY_CHANGED: SessionEnding = { kind: "identity-changed" };
/** A refresh at the provider takes at most 10 s. */
const ANSWER_DEADLINE_MS = 15_000;
const MOST_REMEMBERED = 50_000;
/** Sessions end all the time, each a new epoch; the last answer is then as good as the main thread's order of words. */
const MOST_TRIES = 3;
