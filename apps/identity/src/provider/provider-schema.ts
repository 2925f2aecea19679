import type { Migration } from "@tidegate/service-kit";

/** Rows as they are in the database. */
export interface ProviderTables {
  artifacts: {
    /** What the library calls it: Session, Grant, RefreshToken, … */
    kind: string;
    /** SHA-256 of the artifact's id, base64url: who reads the file cannot use a token or session from it. */
    id_hash: string;
    payload: string;
    grant_id: string | null;
    /** Of sessions: their public id, which tokens refer to. */
    uid: string | null;
    person_id: string | null;
    consumed_at_seconds: number | null;
    expires_at_seconds: number;
  };
}

export const PROVIDER_MIGRATIONS = {
  artifacts: {
    name: "what the provider issued: sessions, grants, codes, tokens, interactions",
    sql: `
      create table artifacts (
        kind text not null,
        id_hash text not null,
        payload text not null check (json_valid(payload)),
        grant_id text,
        uid text,
        person_id text,
        consumed_at_seconds integer,
        expires_at_seconds integer not null,
        primary key (kind, id_hash)
      ) strict, without rowid;
      create index artifacts_by_grant on artifacts (grant_id) where grant_id is not null;
      create unique index artifacts_by_uid on artifacts (kind, uid) where uid is not null;
      create index artifacts_by_person on artifacts (person_id, kind) where person_id is not null;
      create index artifacts_by_expiry on artifacts (expires_at_seconds);
    `,
  },
} as const satisfies Record<string, Migration>;
