import type { IncomingMessage } from "node:http";
import {
  serviceFault,
  SocketDoor,
  type IdentityGate,
  type LiveSocket,
  type Logger,
} from "@tidegate/service-kit";
import type { Clock, Random } from "@tidegate/clock";
import { taskFault } from "./fault.ts";
import { LiveFeed } from "./live-feed.ts";
import type { Person, TaskStore } from "./task-store.ts";

export const LIVE_PATH = "/tasks/live";

// Several devices with several windows each; more is a client that does not close.
const MAX_FEEDS_PER_PERSON = 50;

/** The way in for live feeds, and the list of those that are open. */
export class FeedDoor implements AsyncDisposable {
  readonly door: SocketDoor;
  /** By person; bounded by the sockets that the door lets in. */
  readonly #feeds = new Map<string, Set<LiveFeed>>();
  readonly #options: { readonly store: () => TaskStore; readonly logger: Logger };

  constructor(options: {
    /** Asked when a feed opens: the store tells this door of changes, so it is made after it. */
    readonly store: () => TaskStore;
    readonly gate: IdentityGate;
    readonly clock: Clock;
    readonly random: Random;
    readonly logger: Logger;
    readonly problemsUrl: string;
  }) {
    this.#options = options;
    this.door = new SocketDoor({
      ...options,
      admit: async (identity, request) => {
        const person = { source: identity.source, subject: identity.subject };
        const since = parseSince(request);
        this.#judgeRoom(person);
        return (socket) => this.#open(socket, person, since);
      },
    });
  }

  /** Tells a person's feeds that their log has grown. */
  wake(person: Person): void {
    for (const feed of this.#feeds.get(nameOf(person)) ?? []) feed.wake();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.door[Symbol.asyncDispose]();
  }

  #judgeRoom(person: Person): void {
    const open = this.#feeds.get(nameOf(person))?.size ?? 0;
    if (open >= MAX_FEEDS_PER_PERSON) {
      throw taskFault(
        "too_many_feeds",
        `Cannot open another feed: you have ${open} open, which is as many as one person may have`,
        { headers: { "retry-after": "30" } },
      );
    }
  }

  #open(socket: LiveSocket, person: Person, since: number | undefined): void {
    const name = nameOf(person);
    const feeds = this.#feeds.get(name) ?? new Set();
    // Several handshakes may have been judged before the first of them came here.
    if (feeds.size >= MAX_FEEDS_PER_PERSON) {
      socket.close(4429, "limit;retryAfter=30;reauthenticate=0");
      return;
    }
    const { logger } = this.#options;
    const feed = new LiveFeed({ socket, store: this.#options.store(), person, logger, since });
    feeds.add(feed);
    this.#feeds.set(name, feeds);
    socket.onClose(() => {
      feeds.delete(feed);
      if (feeds.size === 0 && this.#feeds.get(name) === feeds) this.#feeds.delete(name);
    });
  }
}

/** Whether a request is one for the feeds; others with an Upgrade field are answered as plain requests (RFC 9110 §7.8). */
export function isFeedRequest(request: IncomingMessage): boolean {
  return (
    request.method === "GET" &&
    request.url?.split("?", 1)[0] === LIVE_PATH &&
    request.headers.upgrade?.toLowerCase() === "websocket"
  );
}

function nameOf(person: Person): string {
  return JSON.stringify([person.source, person.subject]);
}

function parseSince(request: IncomingMessage): number | undefined {
  const query = new URLSearchParams(request.url?.split("?")[1] ?? "");
  const unknown = [...query.keys()].find((name) => name !== "since");
  const [text, ...more] = query.getAll("since");
  if (unknown !== undefined || more.length > 0) {
    throw malformed(unknown ?? "since", unknown === undefined ? "is there twice" : "is not known");
  }
  if (text === undefined) return undefined;
  if (!/^\d{1,15}$/.test(text)) throw malformed("since", "is not a sequence");
  return Number(text);
}

function malformed(name: string, detail: string): Error {
  return serviceFault(
    "invalid_request",
    "Cannot open the feed: the query does not fit the contract",
    {
      mistakes: [
        { pointer: `#/query/${encodeURIComponent(name.slice(0, 100).toWellFormed())}`, detail },
      ],
    },
  );
}
