import type { Migration } from "@tidegate/service-kit";

/** Rows as they are in the database. Times are seconds since the Unix epoch unless the name says otherwise. */
export interface ProviderTables {
  artifacts: {
    /** What the library calls it: Session, Grant, RefreshToken, … */
    kind: string;
    /** SHA-256 of the artifact's id, base64url: who reads the file cannot use a token or session from it. */
    id_hash: string;
    payload: string;
    /** Whose permission it comes from; of grants the hash of their own id. */
    grant_hash: string | null;
    /** The session it belongs to; of sessions their own public id. */
    session_uid: string | null;
    person_id: string | null;
    consumed_at: number | null;
    expires_at: number;
  };
  session_uses: {
    session_uid: string;
    started_at_ms: number;
    last_used_at_ms: number;
    user_agent: string | null;
  };
  ended_sessions: { session_uid: string; forget_at: number };
  logout_deliveries: {
    id: string;
    client_id: string;
    person_id: string;
    sid: string;
    attempts: number;
    next_attempt_at_ms: number;
    created_at_ms: number;
  };
  consents: { person_id: string; client_id: string; scopes: string; given_at_ms: number };
}

export const PROVIDER_MIGRATIONS = {
  artifacts: {
    name: "what the provider issued, who signed in where, and which clients are to be told of a sign-out",
    sql: `
      create table artifacts (
        kind text not null,
        id_hash text not null,
        payload text not null check (json_valid(payload)),
        grant_hash text,
        session_uid text,
        person_id text,
        consumed_at integer,
        expires_at integer not null,
        primary key (kind, id_hash)
      ) strict, without rowid;
      create index artifacts_by_grant on artifacts (grant_hash, kind) where grant_hash is not null;
      create index artifacts_by_session on artifacts (session_uid, kind) where session_uid is not null;
      create index artifacts_by_person on artifacts (person_id, kind) where person_id is not null;
      create index artifacts_by_expiry on artifacts (expires_at);

      -- The device and last use of each session, apart from what the library stores and replaces.
      create table session_uses (
        session_uid text primary key,
        started_at_ms integer not null,
        last_used_at_ms integer not null,
        user_agent text
      ) strict, without rowid;

      -- Sessions that were ended. A request that was under way then may not bring one back.
      create table ended_sessions (
        session_uid text primary key,
        forget_at integer not null
      ) strict, without rowid;
      create index ended_sessions_by_age on ended_sessions (forget_at);

      -- Logout tokens still to be delivered; written in the transaction that ends the session.
      create table logout_deliveries (
        id text primary key,
        client_id text not null,
        person_id text not null,
        sid text not null,
        attempts integer not null,
        next_attempt_at_ms integer not null,
        created_at_ms integer not null
      ) strict, without rowid;
      create index logout_deliveries_by_time on logout_deliveries (next_attempt_at_ms);

      -- What each person allowed each client, so that it is asked once.
      create table consents (
        person_id text not null,
        client_id text not null,
        scopes text not null check (json_valid(scopes)),
        given_at_ms integer not null,
        primary key (person_id, client_id)
      ) strict, without rowid;
    `,
  },
  interactionsByAge: {
    name: "waiting sign-ins by their age",
    sql: `create index interactions_by_expiry on artifacts (expires_at) where kind = 'Interaction';`,
  },
  consentsOfPeople: {
    name: "consents go with the person who gave them",
    sql: `
      drop table consents;
      create table consents (
        person_id text not null references people on delete cascade,
        client_id text not null,
        scopes text not null check (json_valid(scopes)),
        given_at_ms integer not null,
        primary key (person_id, client_id)
      ) strict, without rowid;
    `,
  },
} as const satisfies Record<string, Migration>;
