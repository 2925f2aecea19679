import type { LiveSocket, Logger } from "@tidegate/service-kit";
import { parseClientMessage, toMessage, type ServerMessage } from "./feed-message.ts";
import type { Person, TaskStore } from "./task-store.ts";

// One read of the log: small enough to be built between two other requests, large enough to catch up quickly.
const BATCH_CHANGES = 100;

/** What a feed needs of its socket; `LiveSocket` has the contract. */
export type FeedSocket = Pick<LiveSocket, "isOpen" | "onText" | "send" | "close">;

/**
 * One socket's view of one person's changes. It holds a place in the log and nothing else: woken, it reads on from
 * there, sends, and waits until the peer has taken it. So a change that is in the log reaches every feed, in order,
 * and a slow reader costs one batch, not a queue.
 */
export class LiveFeed {
  readonly #socket: FeedSocket;
  readonly #store: TaskStore;
  readonly #person: Person;
  readonly #logger: Logger;
  /** The newest sequence that was sent. Written by `#pump` only, one run at a time. */
  #sequence = 0;
  /** Where the client wants to go on; `now` for the newest change. Read and cleared by `#pump`. */
  #resume: number | "now" | undefined;
  #pongsOwed = 0;
  #hasNews = false;
  #isPumping = false;

  constructor(options: {
    readonly socket: FeedSocket;
    readonly store: TaskStore;
    readonly person: Person;
    readonly logger: Logger;
    /** The last sequence that the client has; undefined to begin now. */
    readonly since: number | undefined;
  }) {
    this.#socket = options.socket;
    this.#store = options.store;
    this.#person = options.person;
    this.#logger = options.logger;
    this.#resume = options.since ?? "now";
    this.#socket.onText((text) => this.#receive(text));
    this.wake();
  }

  /** Says that there may be more in the log. Cheap, may be called at any time; never throws. */
  wake(): void {
    this.#hasNews = true;
    if (this.#isPumping) return;
    this.#isPumping = true;
    this.#pump().catch((error: unknown) => {
      this.#logger.error({ event: "feed.failed", err: error });
      this.#socket.close(1011, "");
    });
  }

  #receive(text: string): void {
    const message = parseClientMessage(text);
    if (message === undefined) {
      this.#socket.close(4400, "contract");
      return;
    }
    if (message.type === "feed.resume") this.#resume = message.since;
    else this.#pongsOwed += 1;
    this.wake();
  }

  async #pump(): Promise<void> {
    try {
      while (this.#hasNews && this.#socket.isOpen) {
        this.#hasNews = false;
        if (!(await this.#answerClient())) return;
        if (!(await this.#sendNews())) return;
      }
    } finally {
      // In the same turn as the last look at `#hasNews`: were there a turn between them, a wake in it would be lost,
      // and with it the last change, until the next one comes.
      this.#isPumping = false;
    }
  }

  async #answerClient(): Promise<boolean> {
    const answers: ServerMessage[] = [];
    const resume = this.#resume;
    this.#resume = undefined;
    if (resume !== undefined) answers.push(await this.#goTo(resume));
    for (; this.#pongsOwed > 0; this.#pongsOwed -= 1) answers.push({ type: "pong" });
    return this.#send(answers);
  }

  async #goTo(place: number | "now"): Promise<ServerMessage> {
    const isKnown =
      place === "now" || (await this.#store.changesAfter(this.#person, place, 1)) !== undefined;
    if (place !== "now" && isKnown) {
      this.#sequence = place;
      return { type: "feed.ready", sequence: place };
    }
    this.#sequence = await this.#store.newestSequence(this.#person);
    return { type: isKnown ? "feed.ready" : "feed.resync", sequence: this.#sequence };
  }

  /** Sends all that came after `#sequence`. False when the socket ended meanwhile. */
  async #sendNews(): Promise<boolean> {
    for (;;) {
      const changes = await this.#store.changesAfter(this.#person, this.#sequence, BATCH_CHANGES);
      if (changes === undefined) {
        // The log was trimmed past a reader that was this far behind.
        this.#sequence = await this.#store.newestSequence(this.#person);
        if (!(await this.#send([{ type: "feed.resync", sequence: this.#sequence }]))) return false;
        continue;
      }
      const last = changes.at(-1);
      if (last === undefined) return true;
      if (!(await this.#send(changes.map(toMessage)))) return false;
      this.#sequence = last.sequence;
      // A client that asked to go elsewhere is answered before more is sent.
      if (this.#resume !== undefined) return true;
    }
  }

  async #send(messages: readonly ServerMessage[]): Promise<boolean> {
    if (messages.length === 0) return true;
    return this.#socket.send(messages.map((message) => JSON.stringify(message)));
  }
}
