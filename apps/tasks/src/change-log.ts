import { sql, type Kysely, type Selectable } from "kysely";
import type { PersonRow } from "./people.ts";
import type { TaskTables } from "./schema.ts";
import { toTimestamp } from "./task-row.ts";
import type { Change } from "./task-store.ts";
import type { Task } from "./task.ts";

// A client that was away longer, or missed more, reads the list again: cheaper for both than thousands of changes.
export const KEPT_CHANGES = 10_000;
export const KEPT_CHANGES_MS = 30 * 24 * 60 * 60 * 1000;
// Each change holds the task as it was. Long notes changed 10,000 times would be 400 MB; 16 MiB hold 10,000 usual ones.
const KEPT_CHANGES_BYTES = 16 * 1024 * 1024;
// One batch of a sweep: other people's calls wait for it, so it stays in the milliseconds.
const SWEEP_PEOPLE = 50;

export type ChangeEntry =
  | { readonly kind: "created" | "updated"; readonly task: Task }
  | { readonly kind: "deleted"; readonly id: string }
  | { readonly kind: "reordered" };

/** Adds one line to a person's log; to be called inside the transaction that makes the change itself. */
export async function appendChange(
  query: Kysely<TaskTables>,
  personNumber: number,
  entry: ChangeEntry & { readonly atMs: number },
): Promise<void> {
  const body = "task" in entry ? JSON.stringify(entry.task) : null;
  const person = await query
    .updateTable("people")
    .set((row) => ({
      sequence: row("sequence", "+", 1),
      log_bytes: row("log_bytes", "+", body === null ? 0 : Buffer.byteLength(body)),
    }))
    .where("number", "=", personNumber)
    .returningAll()
    .executeTakeFirstOrThrow();
  await query
    .insertInto("changes")
    .values({
      person: personNumber,
      sequence: person.sequence,
      kind: entry.kind,
      task_id: entry.kind === "deleted" ? entry.id : null,
      body,
      at_ms: entry.atMs,
    })
    .execute();
  await trim(query, person);
}

/** Contract as in `TaskStore.changesAfter`. */
export async function readChanges(
  query: Kysely<TaskTables>,
  person: PersonRow,
  options: { readonly after: number; readonly limit: number },
): Promise<readonly Change[] | undefined> {
  if (options.after > person.sequence || options.after < person.forgotten) return undefined;
  const rows = await query
    .selectFrom("changes")
    .selectAll()
    .where("person", "=", person.number)
    .where("sequence", ">", options.after)
    .orderBy("sequence")
    .limit(options.limit)
    .execute();
  // A sweep may have come in between the two reads: what should be first is gone.
  const isWhole =
    rows[0] === undefined
      ? options.after === person.sequence
      : rows[0].sequence === options.after + 1;
  if (!isWhole) return undefined;
  return rows.map(toChange);
}

function toChange(row: Selectable<TaskTables["changes"]>): Change {
  const { sequence } = row;
  const at = toTimestamp(row.at_ms);
  switch (row.kind) {
    case "created":
    case "updated":
      return { kind: row.kind, sequence, at, task: JSON.parse(row.body ?? "") };
    case "deleted":
      return { kind: "deleted", sequence, at, id: row.task_id ?? "" };
    default:
      return { kind: "reordered", sequence, at };
  }
}

/** Forgets changes older than 30 days, for some people at a time. Returns how many people there were. */
export async function sweepChanges(query: Kysely<TaskTables>, nowMs: number): Promise<number> {
  const old = await query
    .selectFrom("changes")
    .select((row) => ["person", row.fn.max("sequence").as("newest")])
    .where("at_ms", "<", nowMs - KEPT_CHANGES_MS)
    .groupBy("person")
    .limit(SWEEP_PEOPLE)
    .execute();
  for (const { person, newest } of old) await forget(query, person, newest);
  return old.length;
}

async function trim(query: Kysely<TaskTables>, person: PersonRow): Promise<void> {
  if (person.sequence - person.forgotten > KEPT_CHANGES) {
    await forget(query, person.number, person.sequence - KEPT_CHANGES);
  }
  if (person.log_bytes > KEPT_CHANGES_BYTES) {
    // The older half at once, so that a long log is not trimmed again at every change.
    const { middle } = await query
      .selectFrom("changes")
      .select((row) => sql<number>`(${row.ref("sequence")} + ${person.sequence}) / 2`.as("middle"))
      .where("person", "=", person.number)
      .orderBy("sequence")
      .limit(1)
      .executeTakeFirstOrThrow();
    await forget(query, person.number, Math.floor(middle));
  }
}

async function forget(query: Kysely<TaskTables>, person: number, upTo: number): Promise<void> {
  const { bytes } = await query
    .selectFrom("changes")
    .select(sql<number>`coalesce(sum(octet_length(body)), 0)`.as("bytes"))
    .where("person", "=", person)
    .where("sequence", "<=", upTo)
    .executeTakeFirstOrThrow();
  await query
    .deleteFrom("changes")
    .where("person", "=", person)
    .where("sequence", "<=", upTo)
    .execute();
  await query
    .updateTable("people")
    .set((row) => ({ forgotten: upTo, log_bytes: row("log_bytes", "-", bytes) }))
    .where("number", "=", person)
    .execute();
}
