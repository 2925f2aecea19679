import type { Clock, Random } from "@tidegate/clock";
import { randomUuid, type Database } from "@tidegate/service-kit";
import type { Transaction } from "kysely";
import type { EndReason, IdentityEvents } from "../events.ts";
import { hashOf, parse, toStoredSession, type StoredSession } from "./artifact-store.ts";
import { LIFETIMES } from "./lifetimes.ts";
import type { ProviderTables } from "./provider-schema.ts";

/** A session with where and when it was used. */
export interface SessionRecord {
  readonly session: StoredSession;
  readonly startedAtMs: number;
  readonly lastUsedAtMs: number;
  readonly userAgent: string | undefined;
}

export interface SessionStoreOptions {
  readonly database: Database<ProviderTables>;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: IdentityEvents;
  /** Whether a client wants to be told when a session ends. */
  /** Clients that have an address for logout tokens. */
  readonly toldOfLogout: ReadonlySet<string>;
  /** Called after sessions ended that clients have to be told of. */
  readonly wakeDeliveries: () => void;
}

// A person's browsers, phones and forgotten machines. When there is one more, the one longest unused ends.
const MAX_SESSIONS_PER_PERSON = 100;
const MAX_USER_AGENT_LENGTH = 512;
// As many as one sweep ends in one go; the next takes the rest.
const SWEEP_BATCH = 500;

/**
 * Sessions as a whole: what ends one ends all that came from it, in one transaction that also notes which clients have to
 * be told. Whoever asks afterwards, whatever was under way, finds nothing of it.
 */
export class SessionStore {
  readonly #options: SessionStoreOptions;

  constructor(options: SessionStoreOptions) {
    this.#options = options;
  }

  /** Notes the device and the moment. */
  async noteUse(uid: string, userAgent: string | undefined): Promise<void> {
    const nowMs = this.#options.clock.wallMs();
    const agent = userAgent?.slice(0, MAX_USER_AGENT_LENGTH) ?? null;
    const row = { last_used_at_ms: nowMs, user_agent: agent };
    await this.#queries
      .insertInto("session_uses")
      .values({ session_uid: uid, started_at_ms: nowMs, ...row })
      .onConflict((conflict) => conflict.doUpdateSet(row))
      .execute();
  }

  /** Notes the moment, where it is not the browser that used it. */
  async touch(uid: string): Promise<void> {
    await this.#queries
      .updateTable("session_uses")
      .set({ last_used_at_ms: this.#options.clock.wallMs() })
      .where("session_uid", "=", uid)
      .execute();
  }

  /** Live sessions of a person, newest use first. */
  async list(personId: string): Promise<readonly SessionRecord[]> {
    const rows = await this.#queries
      .selectFrom("artifacts")
      .leftJoin("session_uses", "session_uses.session_uid", "artifacts.session_uid")
      .select(["payload", "started_at_ms", "last_used_at_ms", "user_agent"])
      .where("kind", "=", "Session")
      .where("person_id", "=", personId)
      .where("expires_at", ">", this.#nowSeconds())
      .orderBy("last_used_at_ms", "desc")
      .limit(MAX_SESSIONS_PER_PERSON * 2)
      .execute();
    return rows.flatMap((row) => {
      const session = toStoredSession(parse(row.payload));
      if (session === undefined) return [];
      return [
        {
          session,
          startedAtMs: row.started_at_ms ?? session.authTimeSeconds * 1_000,
          lastUsedAtMs: row.last_used_at_ms ?? session.authTimeSeconds * 1_000,
          userAgent: row.user_agent ?? undefined,
        },
      ];
    });
  }

  /**
   * Ends one session: its grants, codes and tokens go, and its clients will be told. Durable before the promise resolves.
   * @returns whether there was such a session
   */
  async end(uid: string, reason: EndReason): Promise<boolean> {
    const row = await this.#queries
      .selectFrom("artifacts")
      .select("payload")
      .where("kind", "=", "Session")
      .where("session_uid", "=", uid)
      .executeTakeFirst();
    const session = row && toStoredSession(parse(row.payload));
    if (session === undefined) return false;
    await this.#endThese([session], reason);
    return true;
  }

  /**
   * Ends every session of a person, and every grant they gave, also those that have outlived their session.
   * @returns how many sessions there were
   */
  async endAll(
    personId: string,
    reason: EndReason,
    options: { readonly exceptUid?: string | undefined } = {},
  ): Promise<number> {
    const sessions = (await this.list(personId))
      .map(({ session }) => session)
      .filter(({ uid }) => uid !== options.exceptUid);
    await this.#endThese(sessions, reason, { personId, exceptUid: options.exceptUid });
    return sessions.length;
  }

  /** Has one client told that a session is over, though it goes on for others. */
  async tellClient(logout: {
    readonly personId: string;
    readonly clientId: string;
    readonly sid: string;
  }): Promise<void> {
    if (!this.#options.toldOfLogout.has(logout.clientId)) return;
    await this.#queueLogout(this.#queries, logout);
    this.#options.wakeDeliveries();
  }

  /** Ends the sessions of a person that are beyond what one person may have. */
  async keepBounded(personId: string): Promise<void> {
    const { count } = await this.#queries
      .selectFrom("artifacts")
      .select((expression) => expression.fn.countAll<number>().as("count"))
      .where("kind", "=", "Session")
      .where("person_id", "=", personId)
      .executeTakeFirstOrThrow();
    if (count <= MAX_SESSIONS_PER_PERSON) return;
    const beyond = (await this.list(personId)).slice(MAX_SESSIONS_PER_PERSON);
    await this.#endThese(
      beyond.map(({ session }) => session),
      "too-many-sessions",
    );
  }

  /**
   * Removes what has expired. Clients are told of a session that expired as of one that was ended, except where they were
   * allowed to go on without it. @returns whether there may be more
   */
  async sweep(): Promise<boolean> {
    const nowSeconds = this.#nowSeconds();
    const expired = await this.#queries
      .selectFrom("artifacts")
      .select("payload")
      .where("kind", "=", "Session")
      .where("expires_at", "<=", nowSeconds)
      .limit(SWEEP_BATCH)
      .execute();
    const sessions = expired.flatMap(({ payload }) => toStoredSession(parse(payload)) ?? []);
    await this.#endThese(sessions, "expired");
    const { numDeletedRows } = await this.#queries
      .deleteFrom("artifacts")
      .where((expression) =>
        expression(
          expression.refTuple("kind", "id_hash"),
          "in",
          expression
            .selectFrom("artifacts")
            .select(["kind", "id_hash"])
            .where("expires_at", "<=", nowSeconds)
            .limit(SWEEP_BATCH)
            .$asTuple("kind", "id_hash"),
        ),
      )
      .executeTakeFirstOrThrow();
    await this.#queries.deleteFrom("ended_sessions").where("forget_at", "<=", nowSeconds).execute();
    await this.#queries
      .deleteFrom("session_uses")
      .where("last_used_at_ms", "<", (nowSeconds - LIFETIMES.sessionAbsolute) * 1_000)
      .execute();
    return numDeletedRows >= BigInt(SWEEP_BATCH) || expired.length >= SWEEP_BATCH;
  }

  async #endThese(
    sessions: readonly StoredSession[],
    reason: EndReason,
    everything?: { readonly personId: string; readonly exceptUid: string | undefined },
  ): Promise<void> {
    if (sessions.length === 0 && everything === undefined) return;
    let deliveries = 0;
    await this.#queries.transaction().execute(async (queries) => {
      for (const session of sessions) deliveries += await this.#endOne(queries, session, reason);
      if (everything === undefined) return;
      // Grants that outlived their session, and what was under way without one.
      let rest = queries.deleteFrom("artifacts").where("person_id", "=", everything.personId);
      if (everything.exceptUid !== undefined) {
        const kept = await grantsOf(queries, everything.exceptUid);
        rest = rest
          .where((row) =>
            row.or([
              row("session_uid", "is", null),
              row("session_uid", "!=", everything.exceptUid ?? ""),
            ]),
          )
          .where((row) =>
            row.or([row("grant_hash", "is", null), row("grant_hash", "not in", kept)]),
          );
      }
      await rest.execute();
      if (!GONE.has(reason)) return;
      // A password or a token shown elsewhere hangs on no session that this client took part in: it learns of the person.
      const { personId } = everything;
      for (const clientId of this.#options.toldOfLogout) {
        await this.#queueLogout(queries, { personId, clientId, sid: NO_SESSION });
        deliveries += 1;
      }
    });
    for (const { uid, personId } of sessions) {
      this.#options.events.sessionEnded({ personId, sessionUid: uid, reason });
    }
    if (deliveries > 0) this.#options.wakeDeliveries();
  }

  /** @returns how many clients will be told */
  async #endOne(
    queries: Transaction<ProviderTables>,
    session: StoredSession,
    reason: EndReason,
  ): Promise<number> {
    const { uid, personId } = session;
    const isExpiry = reason === "expired";
    const ending = session.clients.filter((one) => !(isExpiry && one.outlivesExpiry));
    // What was allowed to outlive an expiry must not find the session among the ended ones.
    if (!isExpiry) {
      const row = { session_uid: uid, forget_at: this.#nowSeconds() + LIFETIMES.offlineAbsolute };
      await queries
        .insertInto("ended_sessions")
        .values(row)
        .onConflict((conflict) => conflict.doNothing())
        .execute();
      await queries.deleteFrom("artifacts").where("session_uid", "=", uid).execute();
    } else {
      await queries
        .deleteFrom("artifacts")
        .where("kind", "=", "Session")
        .where("session_uid", "=", uid)
        .execute();
    }
    await queries.deleteFrom("session_uses").where("session_uid", "=", uid).execute();
    const grants = ending.flatMap(({ grantId }) =>
      grantId === undefined ? [] : [hashOf(grantId)],
    );
    if (grants.length > 0) {
      await queries.deleteFrom("artifacts").where("grant_hash", "in", grants).execute();
    }
    const told = ending.filter(({ clientId }) => this.#options.toldOfLogout.has(clientId));
    for (const { clientId, sid } of told) {
      await this.#queueLogout(queries, { personId, clientId, sid });
    }
    return told.length;
  }

  async #queueLogout(
    queries: Database<ProviderTables>["query"],
    logout: { readonly personId: string; readonly clientId: string; readonly sid: string },
  ): Promise<void> {
    const nowMs = this.#options.clock.wallMs();
    await queries
      .insertInto("logout_deliveries")
      .values({
        id: randomUuid(this.#options.random),
        client_id: logout.clientId,
        person_id: logout.personId,
        sid: logout.sid,
        attempts: 0,
        next_attempt_at_ms: nowMs,
        created_at_ms: nowMs,
      })
      .execute();
  }

  get #queries(): Database<ProviderTables>["query"] {
    return this.#options.database.query;
  }

  #nowSeconds(): number {
    return Math.floor(this.#options.clock.wallMs() / 1_000);
  }
}

/** After these nothing of the person may go on anywhere. */
const GONE: ReadonlySet<EndReason> = new Set(["person-disabled", "person-deleted"]);
/** Names everything of the person instead of one session. */
export const NO_SESSION = "";

/** Hashes of the grants that one session stands on. */
async function grantsOf(queries: Transaction<ProviderTables>, uid: string): Promise<string[]> {
  const row = await queries
    .selectFrom("artifacts")
    .select("payload")
    .where("kind", "=", "Session")
    .where("session_uid", "=", uid)
    .executeTakeFirst();
  const session = row && toStoredSession(parse(row.payload));
  return (session?.clients ?? []).flatMap(({ grantId }) =>
    grantId === undefined ? [] : [hashOf(grantId)],
  );
}
