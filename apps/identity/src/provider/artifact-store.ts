import { hash } from "node:crypto";
import type { Clock } from "@tidegate/clock";
import type { Database } from "@tidegate/service-kit";
import { sql, type Transaction } from "kysely";
import type { ProviderTables } from "./provider-schema.ts";

/** What the library stores; `jti` is never in it. */
export type ArtifactPayload = Readonly<Record<string, unknown>>;

/** The columns by which artifacts are found again. */
export interface ArtifactLinks {
  readonly grantId?: string | undefined;
  readonly sessionUid?: string | undefined;
  readonly personId?: string | undefined;
}

export interface FoundArtifact {
  readonly payload: ArtifactPayload;
  readonly consumedAtSeconds: number | undefined;
}

/** One session with what is signed in through it. */
export interface StoredSession {
  readonly uid: string;
  readonly personId: string;
  readonly authTimeSeconds: number;
  readonly acr: string;
  readonly expiresAtSeconds: number;
  readonly clients: readonly {
    readonly clientId: string;
    readonly sid: string;
    readonly grantId: string | undefined;
    /** It was allowed to go on when the session expires; not when it is ended. */
    readonly outlivesExpiry: boolean;
  }[];
}

type Queries = Database<ProviderTables>["query"] | Transaction<ProviderTables>;

/**
 * Everything the provider issued, in SQLite. Ids are kept as SHA-256 only: sessions, codes and opaque tokens are bearer
 * secrets, and whoever reads a copy of the file gets none of them.
 */
export class ArtifactStore {
  readonly #database: Database<ProviderTables>;
  readonly #clock: Clock;
  readonly #bounds: ArtifactBounds;
  /** Interactions stored since the bound was last kept; the first after a start keeps it. */
  #interactions = 0;

  constructor(options: {
    readonly database: Database<ProviderTables>;
    readonly clock: Clock;
    readonly bounds?: ArtifactBounds;
  }) {
    this.#database = options.database;
    this.#clock = options.clock;
    this.#bounds = options.bounds ?? BOUNDS;
  }

  get queries(): Database<ProviderTables>["query"] {
    return this.#database.query;
  }

  nowSeconds(): number {
    return Math.floor(this.#clock.wallMs() / 1_000);
  }

  /**
   * Stores an artifact. What belongs to a session that was ended is not stored: the request that made it was under way
   * when that happened.
   * @param artifact.isFinal a second artifact of the same id is ignored instead of replacing the first
   * @returns false when it was not stored: its session has ended, or it is final and was there
   */
  async put(
    artifact: {
      readonly kind: string;
      readonly id: string;
      readonly payload: ArtifactPayload;
      readonly expiresAtSeconds: number;
      readonly isFinal: boolean;
    } & ArtifactLinks,
  ): Promise<boolean> {
    const { kind, sessionUid } = artifact;
    return this.queries.transaction().execute(async (queries) => {
      if (sessionUid !== undefined && (await this.#hasEnded(queries, sessionUid))) return false;
      if (kind === "Session" && sessionUid !== undefined) {
        // One row per session, whatever its cookie is at the moment.
        await queries
          .deleteFrom("artifacts")
          .where("kind", "=", kind)
          .where("session_uid", "=", sessionUid)
          .execute();
      }
      const row = {
        payload: JSON.stringify(artifact.payload),
        grant_hash: artifact.grantId === undefined ? null : hashOf(artifact.grantId),
        session_uid: sessionUid ?? null,
        person_id: artifact.personId ?? null,
        expires_at: artifact.expiresAtSeconds,
      };
      const { numInsertedOrUpdatedRows } = await queries
        .insertInto("artifacts")
        .values({ kind, id_hash: hashOf(artifact.id), consumed_at: null, ...row })
        .onConflict((conflict) =>
          artifact.isFinal ? conflict.doNothing() : conflict.doUpdateSet(row),
        )
        .executeTakeFirstOrThrow();
      if (kind === "RefreshToken" && artifact.grantId !== undefined) {
        await keepNewest(queries, {
          grantHash: hashOf(artifact.grantId),
          limit: this.#bounds.maxRefreshTokensPerGrant,
        });
      }
      if (kind === "Interaction") {
        const { maxInteractions } = this.#bounds;
        const stride = Math.max(1, Math.floor(maxInteractions / 256));
        if (this.#interactions++ % stride === 0) await keepYoungest(queries, maxInteractions);
      }
      return numInsertedOrUpdatedRows !== 0n;
    });
  }

  /** What is stored under this id, unless it has expired or its session was ended. */
  async find(kind: string, id: string): Promise<FoundArtifact | undefined> {
    const row = await this.queries
      .selectFrom("artifacts")
      .leftJoin("ended_sessions", "ended_sessions.session_uid", "artifacts.session_uid")
      .select(["payload", "consumed_at"])
      .where("kind", "=", kind)
      .where("id_hash", "=", hashOf(id))
      .where("expires_at", ">", this.nowSeconds())
      .where("ended_sessions.session_uid", "is", null)
      .executeTakeFirst();
    return row && { payload: parse(row.payload), consumedAtSeconds: row.consumed_at ?? undefined };
  }

  async findSessionByUid(uid: string): Promise<ArtifactPayload | undefined> {
    const row = await this.queries
      .selectFrom("artifacts")
      .select("payload")
      .where("kind", "=", "Session")
      .where("session_uid", "=", uid)
      .where("expires_at", ">", this.nowSeconds())
      .executeTakeFirst();
    return row && parse(row.payload);
  }

  /** Marks an artifact as used. Atomic: of two at once only one is told that it was the first. */
  async consume(kind: string, id: string): Promise<{ readonly isFirst: boolean }> {
    const { numUpdatedRows } = await this.queries
      .updateTable("artifacts")
      .set({ consumed_at: this.nowSeconds() })
      .where("kind", "=", kind)
      .where("id_hash", "=", hashOf(id))
      .where("consumed_at", "is", null)
      .executeTakeFirstOrThrow();
    return { isFirst: numUpdatedRows === 1n };
  }

  async remove(kind: string, id: string): Promise<void> {
    await this.queries
      .deleteFrom("artifacts")
      .where("kind", "=", kind)
      .where("id_hash", "=", hashOf(id))
      .execute();
  }

  async removeByGrant(kind: string, grantId: string): Promise<void> {
    await this.queries
      .deleteFrom("artifacts")
      .where("kind", "=", kind)
      .where("grant_hash", "=", hashOf(grantId))
      .execute();
  }

  /** Lets a session live on because it was used. Never shortens it. */
  async extendSession(uid: string, expiresAtSeconds: number): Promise<void> {
    await this.queries
      .updateTable("artifacts")
      .set({
        expires_at: expiresAtSeconds,
        payload: sql<string>`json_set(payload, '$.exp', ${expiresAtSeconds})`,
      })
      .where("kind", "=", "Session")
      .where("session_uid", "=", uid)
      .where("expires_at", "<", expiresAtSeconds)
      .execute();
  }

  async #hasEnded(queries: Queries, uid: string): Promise<boolean> {
    const row = await queries
      .selectFrom("ended_sessions")
      .select("session_uid")
      .where("session_uid", "=", uid)
      .executeTakeFirst();
    return row !== undefined;
  }
}

export interface ArtifactBounds {
  readonly maxRefreshTokensPerGrant: number;
  readonly maxInteractions: number;
}

const BOUNDS: ArtifactBounds = {
  /**
   * A grant whose client refreshes every five minutes makes 288 used tokens a day, and each is kept until it expires so that
   * its reuse is noticed. Ten times that; beyond it the oldest go, and their reuse is merely refused.
   */
  maxRefreshTokensPerGrant: 3_000,
  /**
   * Sign-ins that wait for a person, over everybody: 30 MB. One network alone cannot make as many before they expire. Beyond
   * it the oldest go, so that a flood from many networks shortens the time people have and never turns the next one away.
   */
  maxInteractions: 20_000,
};

/** Used ones go first: near the end of a session all its tokens expire together, and the one in use must stay. */
async function keepNewest(
  queries: Queries,
  { grantHash, limit }: { readonly grantHash: string; readonly limit: number },
): Promise<void> {
  await queries
    .deleteFrom("artifacts")
    .where("kind", "=", "RefreshToken")
    .where("id_hash", "in", (inner) =>
      inner
        .selectFrom("artifacts")
        .select("id_hash")
        .where("kind", "=", "RefreshToken")
        .where("grant_hash", "=", grantHash)
        .orderBy((row) => row("consumed_at", "is", null), "desc")
        .orderBy("expires_at", "desc")
        .orderBy("consumed_at", "desc")
        .limit(-1)
        .offset(limit),
    )
    .execute();
}

async function keepYoungest(queries: Queries, limit: number): Promise<void> {
  await queries
    .deleteFrom("artifacts")
    .where("kind", "=", "Interaction")
    .where("id_hash", "in", (inner) =>
      inner
        .selectFrom("artifacts")
        .select("id_hash")
        .where("kind", "=", "Interaction")
        .orderBy("expires_at", "desc")
        .limit(-1)
        .offset(limit),
    )
    .execute();
}

export const hashOf = (id: string): string => hash("sha256", id, "base64url");

export function parse(payload: string): ArtifactPayload {
  return JSON.parse(payload) as ArtifactPayload;
}

/** Reads a session's payload as the library wrote it. Undefined when nobody is signed in through it. */
export function toStoredSession(payload: ArtifactPayload): StoredSession | undefined {
  const { uid, accountId, loginTs, acr, exp, authorizations } = payload as {
    uid?: string;
    accountId?: string;
    loginTs?: number;
    acr?: string;
    exp?: number;
    authorizations?: Record<string, { sid?: string; grantId?: string; persistsLogout?: boolean }>;
  };
  if (uid === undefined || accountId === undefined) return undefined;
  return {
    uid,
    personId: accountId,
    authTimeSeconds: loginTs ?? 0,
    acr: acr ?? "",
    expiresAtSeconds: exp ?? 0,
    clients: Object.entries(authorizations ?? {}).map(([clientId, one]) => ({
      clientId,
      sid: one.sid ?? "",
      grantId: one.grantId,
      outlivesExpiry: one.persistsLogout === true,
    })),
  };
}
