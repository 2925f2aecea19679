import { createHash } from "node:crypto";
import { isEndedBy, type Principal, type Revocation } from "@tidegate/auth";
import type { Clock, Random } from "@tidegate/clock";
import type { Identity } from "../identify/identifier.ts";
import type { DataThreads } from "../worker/data-threads.ts";

/** Asked by workers: `TicketPlace` and who asks → `MintedTicket`, or why there is none. */
export const MINT_TICKET = "mint-ticket";
/** Asked by workers: a ticket's text and `TicketPlace` → `TicketHolder`, or undefined. */
export const REDEEM_TICKET = "redeem-ticket";

/** What a ticket is good for: this handshake and no other. */
export interface TicketPlace {
  readonly host: string;
  /** Canonical. */
  readonly path: string;
  /** Of the page that asked; undefined when a program did, and then only a program may use it. */
  readonly origin: string | undefined;
}

export interface MintedTicket {
  readonly ticket: string;
  readonly connectionId: string;
  readonly expiresInSeconds: number;
}

/** Who opens a socket with a ticket, and what the socket is called. */
export interface TicketHolder {
  readonly identity: Identity;
  readonly connectionId: string;
}

interface Ticket extends TicketPlace, TicketHolder {
  readonly ownerKey: string;
  /** Monotonic. */
  readonly untilMs: number;
}

/**
 * One-time tickets for handshakes: what a browser's script cannot put into a field (RFC 6455 lets it set none) it
 * fetches with its ordinary credential and shows once. On the main thread, so that a ticket that is shown to two
 * workers at once lets one in. Kept by digest: no dump of our memory opens a socket. A restart forgets them; clients
 * fetch new ones.
 */
export class TicketDesk {
  /** By digest, in the order in which they end. */
  readonly #tickets = new Map<string, Ticket>();
  /** Open tickets by owner. */
  readonly #open = new Map<string, number>();
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(options: {
    readonly dataThreads: Pick<DataThreads, "answer">;
    readonly clock: Clock;
    readonly random: Random;
  }) {
    this.#clock = options.clock;
    this.#random = options.random;
    options.dataThreads.answer(MINT_TICKET, (asked) => {
      const { place, identity } = asked as { place: TicketPlace; identity: Identity };
      return this.mint(place, identity);
    });
    options.dataThreads.answer(REDEEM_TICKET, (shown) => {
      const { ticket, place } = shown as { ticket: string; place: TicketPlace };
      return this.redeem(ticket, place);
    });
  }

  /** @returns `too-many` when this person or client has as many open, `full` when everybody together has */
  mint(place: TicketPlace, identity: Identity): MintedTicket | "too-many" | "full" {
    this.#forgetEnded();
    const ownerKey = ownerKeyOf(identity.principal);
    const open = this.#open.get(ownerKey) ?? 0;
    if (open >= MAX_OPEN_PER_OWNER) return "too-many";
    if (this.#tickets.size >= MAX_OPEN) return "full";
    const ticket = this.#random.bytes(32).toString("base64url");
    const connectionId = this.#random.bytes(16).toString("base64url");
    const untilMs = this.#clock.monotonicMs() + LIFE_MS;
    this.#open.set(ownerKey, open + 1);
    this.#tickets.set(digestOf(ticket), { ...place, identity, connectionId, ownerKey, untilMs });
    return { ticket, connectionId, expiresInSeconds: LIFE_MS / 1_000 };
  }

  /**
   * Single use, whoever shows it: shown at another place it has leaked, and is worth nothing any more.
   * @returns undefined when it is not known, has ended, or is for another place
   */
  redeem(ticket: string, { host, path, origin }: TicketPlace): TicketHolder | undefined {
    this.#forgetEnded();
    const digest = digestOf(ticket);
    const found = this.#tickets.get(digest);
    if (found === undefined) return undefined;
    this.#delete(digest, found);
    if (found.host !== host || found.path !== path || found.origin !== origin) return undefined;
    return { identity: found.identity, connectionId: found.connectionId };
  }

  /** Who was shut out does not come in by a ticket fetched before. */
  revoked(revocations: readonly Revocation[]): void {
    for (const [digest, ticket] of this.#tickets)
      if (revocations.some((one) => isEndedBy(ticket.identity.principal, one)))
        this.#delete(digest, ticket);
  }

  #forgetEnded(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const [digest, ticket] of this.#tickets) {
      if (ticket.untilMs > nowMs) return;
      this.#delete(digest, ticket);
    }
  }

  #delete(digest: string, { ownerKey }: Ticket): void {
    this.#tickets.delete(digest);
    const left = (this.#open.get(ownerKey) ?? 1) - 1;
    if (left === 0) this.#open.delete(ownerKey);
    else this.#open.set(ownerKey, left);
  }
}

const digestOf = (ticket: string): string =>
  createHash("sha256").update(ticket).digest("base64url");

const ownerKeyOf = ({ issuer, subject, client }: Principal): string =>
  JSON.stringify([issuer, subject, client]);

/** Long enough for a page to open its socket over a slow line, too short to be of use in a log. */
const LIFE_MS = 30_000;
/** A page opens a socket or two. More is a loop that asks for tickets and does not use them. */
const MAX_OPEN_PER_OWNER = 10;
/** Some 20 MB; at 30 seconds each, a few thousand handshakes a second. Further callers are told to come back. */
const MAX_OPEN = 50_000;
