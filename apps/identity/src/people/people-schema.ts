import type { Migration } from "@tidegate/service-kit";

/** Rows as they are in the people's database. */
export interface PeopleTables {
  settings: { name: string; value: Uint8Array };
  people: {
    id: string;
    login_name: string;
    display_name: string;
    email: string | null;
    email_key: string | null;
    is_email_verified: number;
    is_disabled: number;
    password_hash: string;
    password_changed_at_ms: number;
    created_at_ms: number;
  };
  attempts: {
    key: Uint8Array;
    failures: number;
    last_at_ms: number;
    blocked_until_ms: number;
  };
  devices: {
    person: string;
    token_hash: Uint8Array;
    user_agent: string;
    first_seen_at_ms: number;
    last_seen_at_ms: number;
  };
  reset_tokens: { token_hash: Uint8Array; person: string; expires_at_ms: number };
  email_codes: {
    person: string;
    email: string;
    code_hash: Uint8Array;
    tries_left: number;
    expires_at_ms: number;
  };
}

export const PEOPLE_MIGRATIONS = {
  people: {
    name: "people, their devices, and what was mailed to them",
    sql: `
      create table settings (name text primary key, value blob not null) strict, without rowid;

      -- email_key: the address as it is compared. Anybody may claim an address; only one person can have shown that it is theirs.
      create table people (
        id text primary key,
        login_name text not null unique,
        display_name text not null,
        email text,
        email_key text,
        is_email_verified integer not null default 0,
        is_disabled integer not null default 0,
        password_hash text not null,
        password_changed_at_ms integer not null,
        created_at_ms integer not null
      ) strict, without rowid;
      create unique index people_by_verified_email on people (email_key) where is_email_verified = 1;

      -- Guesses at passwords, by a hash of who guessed where. Survives a restart, or a crash would forgive them.
      create table attempts (
        key blob primary key,
        failures integer not null,
        last_at_ms integer not null,
        blocked_until_ms integer not null
      ) strict, without rowid;
      create index attempts_by_age on attempts (last_at_ms);

      -- Browsers that each person has signed in with. The browser has the token, this table its SHA-256.
      create table devices (
        person text not null references people on delete cascade,
        token_hash blob not null,
        user_agent text not null,
        first_seen_at_ms integer not null,
        last_seen_at_ms integer not null,
        primary key (person, token_hash)
      ) strict, without rowid;

      create table reset_tokens (
        token_hash blob primary key,
        person text not null references people on delete cascade,
        expires_at_ms integer not null
      ) strict, without rowid;
      create index reset_tokens_by_person on reset_tokens (person, expires_at_ms);

      create table email_codes (
        person text primary key references people on delete cascade,
        email text not null,
        code_hash blob not null,
        tries_left integer not null,
        expires_at_ms integer not null
      ) strict, without rowid;
    `,
  },
} as const satisfies Record<string, Migration>;
