import type { Migration } from "@tidegate/service-kit";
import type { Generated } from "kysely";

/** Rows as they are in the database. */
export interface TaskTables {
  settings: { name: string; value: Uint8Array };
  people: {
    number: Generated<number>;
    source: string;
    subject: string;
    sequence: Generated<number>;
    forgotten: Generated<number>;
    log_bytes: Generated<number>;
    task_count: Generated<number>;
  };
  tasks: {
    number: Generated<number>;
    id: string;
    person: number;
    title: string;
    title_key: string;
    notes: string;
    status: string;
    priority: number;
    due_date: string | null;
    tags: string;
    position: string;
    version: number;
    created_at_ms: number;
    updated_at_ms: number;
    completed_at_ms: number | null;
  };
  changes: {
    person: number;
    sequence: number;
    kind: string;
    task_id: string | null;
    body: string | null;
    at_ms: number;
  };
  idempotency_keys: {
    person: number;
    key: string;
    fingerprint: string;
    answer: string;
    created_at_ms: number;
  };
}

export const MIGRATIONS: readonly Migration[] = [
  {
    name: "people, their tasks, changes and idempotency keys",
    sql: `
      create table settings (name text primary key, value blob not null) strict, without rowid;

      -- sequence: of the newest change. forgotten: of the newest change that is no longer kept.
      create table people (
        number integer primary key,
        source text not null,
        subject text not null,
        sequence integer not null default 0,
        forgotten integer not null default 0,
        log_bytes integer not null default 0,
        task_count integer not null default 0,
        unique (source, subject)
      ) strict;

      -- number: a declared key, since the hidden one may change in a VACUUM and the search index goes by it.
      create table tasks (
        number integer primary key,
        id text not null unique,
        person integer not null references people,
        title text not null,
        title_key text not null,
        notes text not null,
        status text not null,
        priority integer not null,
        due_date text,
        tags text not null check (json_valid(tags)),
        position text not null,
        version integer not null,
        created_at_ms integer not null,
        updated_at_ms integer not null,
        completed_at_ms integer
      ) strict;
      create index tasks_by_position on tasks (person, position, id);
      create index tasks_by_creation on tasks (person, created_at_ms, id);
      create index tasks_by_update on tasks (person, updated_at_ms, id);

      create table changes (
        person integer not null references people,
        sequence integer not null,
        kind text not null,
        task_id text,
        body text,
        at_ms integer not null,
        primary key (person, sequence)
      ) strict, without rowid;
      create index changes_by_age on changes (at_ms);

      create table idempotency_keys (
        person integer not null references people,
        key text not null,
        fingerprint text not null,
        answer text not null,
        created_at_ms integer not null,
        primary key (person, key)
      ) strict, without rowid;
      create index idempotency_keys_by_age on idempotency_keys (person, created_at_ms);
      create index idempotency_keys_by_time on idempotency_keys (created_at_ms);

      -- owner: one word that names the person, so that a search reads only that person's postings.
      create virtual table tasks_search using fts5 (
        owner, title, notes, tags,
        content = '', contentless_delete = 1,
        tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'
      );
      create trigger tasks_search_insert after insert on tasks begin
        insert into tasks_search (rowid, owner, title, notes, tags)
          values (new.number, 'p' || new.person, new.title, new.notes, new.tags);
      end;
      create trigger tasks_search_delete after delete on tasks begin
        delete from tasks_search where rowid = old.number;
      end;
      create trigger tasks_search_update after update of title, notes, tags on tasks begin
        delete from tasks_search where rowid = old.number;
        insert into tasks_search (rowid, owner, title, notes, tags)
          values (new.number, 'p' || new.person, new.title, new.notes, new.tags);
      end;
    `,
  },
];

/**
 * Run on a backup's copy. A restored database would count changes from an older number and use numbers again
 * that clients have seen for other changes; far ahead and without a log, every client is told to read anew.
 */
export const AFTER_BACKUP = `
  update people set sequence = sequence + 1000000000, forgotten = sequence + 1000000000, log_bytes = 0;
  delete from changes;
`;
