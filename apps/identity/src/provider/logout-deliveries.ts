import type { Clock, Timer } from "@tidegate/clock";
import type { Database } from "@tidegate/service-kit";
import type { IdentityEvents } from "../events.ts";
import type { ProviderTables } from "./provider-schema.ts";

/** Sends one logout token. @throws when the client did not take it */
export type SendLogout = (logout: {
  readonly clientId: string;
  readonly personId: string;
  readonly sid: string;
}) => Promise<void>;

export interface LogoutDeliveriesOptions {
  readonly database: Database<ProviderTables>;
  readonly clock: Clock;
  readonly events: IdentityEvents;
  readonly send: SendLogout;
}

// An access token lives 300 s: a client that did not hear of a sign-out by then has nothing left that it could use.
const RETRY_AFTER_MS = [1_000, 5_000, 15_000, 30_000, 60_000, 120_000, 120_000] as const;
// Enough that a slow client does not hold up the others, few enough that a thousand sessions ended at once are no storm.
const MAX_IN_FLIGHT = 8;

/**
 * Tells clients that sessions ended (OpenID Connect Back-Channel Logout 1.0). What is to be told is in the database since the
 * moment the session ended: a crash or a client that is down for a minute loses nothing.
 */
export class LogoutDeliveries implements AsyncDisposable {
  readonly #options: LogoutDeliveriesOptions;
  readonly #inFlight = new Map<string, Promise<void>>();
  #timer: Timer | undefined;
  #isStopped = false;
  #running: Promise<void> | undefined;
  #isWanted = false;

  constructor(options: LogoutDeliveriesOptions) {
    this.#options = options;
  }

  /** Sends what is due, now. Returns at once. */
  wake(): void {
    this.#isWanted = true;
    if (this.#isStopped || this.#running !== undefined) return;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
      if (this.#isWanted) this.wake();
    });
  }

  /** Resolves when everything that was due has been tried. */
  async settled(): Promise<void> {
    while (this.#running !== undefined || this.#inFlight.size > 0) {
      await this.#running;
      await Promise.all(this.#inFlight.values());
    }
  }

  /** Stops sending; what is left goes out at the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    this.#isWanted = false;
    await this.settled();
  }

  async #run(): Promise<void> {
    try {
      while (this.#isWanted && !this.#isStopped) {
        this.#isWanted = false;
        await this.#sendDue();
      }
      if (!this.#isStopped) await this.#armTimer();
    } catch (error) {
      this.#options.events.failed({ what: "logout deliveries", error });
    }
  }

  async #sendDue(): Promise<void> {
    const { database, clock } = this.#options;
    const room = MAX_IN_FLIGHT - this.#inFlight.size;
    if (room <= 0) return;
    const due = await database.query
      .selectFrom("logout_deliveries")
      .selectAll()
      .where("next_attempt_at_ms", "<=", clock.wallMs())
      .where("id", "not in", [...this.#inFlight.keys(), ""])
      .orderBy("next_attempt_at_ms")
      .limit(room)
      .execute();
    for (const row of due) {
      const flight = this.#deliver(row).finally(() => {
        this.#inFlight.delete(row.id);
        this.wake();
      });
      this.#inFlight.set(row.id, flight);
    }
  }

  async #deliver(row: ProviderTables["logout_deliveries"]): Promise<void> {
    const { database, clock, events, send } = this.#options;
    const facts = { clientId: row.client_id, personId: row.person_id, attempts: row.attempts + 1 };
    try {
      try {
        await send({ clientId: row.client_id, personId: row.person_id, sid: row.sid });
        await database.query.deleteFrom("logout_deliveries").where("id", "=", row.id).execute();
        events.logoutDelivered(facts);
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        const waitMs = RETRY_AFTER_MS[row.attempts];
        events.logoutUndelivered({ ...facts, isGivenUp: waitMs === undefined, reason });
        if (waitMs === undefined) {
          await database.query.deleteFrom("logout_deliveries").where("id", "=", row.id).execute();
          return;
        }
        await database.query
          .updateTable("logout_deliveries")
          .set({ attempts: row.attempts + 1, next_attempt_at_ms: clock.wallMs() + waitMs })
          .where("id", "=", row.id)
          .execute();
      }
    } catch (error) {
      events.failed({ what: "logout delivery", error });
    }
  }

  async #armTimer(): Promise<void> {
    const { database, clock } = this.#options;
    const next = await database.query
      .selectFrom("logout_deliveries")
      .select("next_attempt_at_ms")
      .where("id", "not in", [...this.#inFlight.keys(), ""])
      .orderBy("next_attempt_at_ms")
      .executeTakeFirst();
    this.#timer?.cancel();
    if (next === undefined) return;
    const delayMs = Math.max(0, next.next_attempt_at_ms - clock.wallMs());
    // With every slot taken, whatever comes free wakes this again.
    if (delayMs === 0 && this.#inFlight.size >= MAX_IN_FLIGHT) return;
    this.#timer = clock.after(delayMs, () => this.wake());
  }
}
