import { createHash } from "node:crypto";
import type { Kysely } from "kysely";
import { taskFault } from "./fault.ts";
import type { TaskTables } from "./schema.ts";
import type { Task, TaskContent } from "./task.ts";

// A client that retries does so within minutes; a day covers a laptop closed overnight.
export const KEPT_KEYS_MS = 24 * 60 * 60 * 1000;
// For each person; about 50 MB at worst. When full the oldest key goes first, and a retry with it would create anew.
const MOST_KEYS = 1_000;
const SWEEP_KEYS = 500;

export interface KeyUse {
  readonly person: number;
  readonly key: string;
  readonly content: TaskContent;
  readonly nowMs: number;
}

/**
 * The answer that was given to the same key before, if it is still kept.
 * @throws {Fault} `idempotency_key_reused` when the key came with another body
 */
export async function findAnswer(
  query: Kysely<TaskTables>,
  use: KeyUse,
): Promise<Task | undefined> {
  const row = await query
    .selectFrom("idempotency_keys")
    .selectAll()
    .where("person", "=", use.person)
    .where("key", "=", use.key)
    .where("created_at_ms", ">", use.nowMs - KEPT_KEYS_MS)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  if (row.fingerprint !== fingerprintOf(use.content)) {
    throw taskFault(
      "idempotency_key_reused",
      "Cannot create the task: the Idempotency-Key came with another body before",
    );
  }
  return JSON.parse(row.answer);
}

/** Keeps an answer, in the transaction that made it true. */
export async function keepAnswer(
  query: Kysely<TaskTables>,
  use: KeyUse,
  task: Task,
): Promise<void> {
  const row = {
    fingerprint: fingerprintOf(use.content),
    answer: JSON.stringify(task),
    created_at_ms: use.nowMs,
  };
  await query
    .insertInto("idempotency_keys")
    .values({ person: use.person, key: use.key, ...row })
    .onConflict((conflict) => conflict.columns(["person", "key"]).doUpdateSet(row))
    .execute();
  await query
    .deleteFrom("idempotency_keys")
    .where("person", "=", use.person)
    .where("key", "in", (keys) =>
      keys
        .selectFrom("idempotency_keys")
        .select("key")
        .where("person", "=", use.person)
        .orderBy("created_at_ms", "desc")
        .limit(-1)
        .offset(MOST_KEYS),
    )
    .execute();
}

/** Forgets keys older than a day, some at a time. Returns how many. */
export async function sweepKeys(query: Kysely<TaskTables>, nowMs: number): Promise<number> {
  const old = await query
    .selectFrom("idempotency_keys")
    .select(["person", "key"])
    .where("created_at_ms", "<=", nowMs - KEPT_KEYS_MS)
    .limit(SWEEP_KEYS)
    .execute();
  for (const { person, key } of old) {
    await query
      .deleteFrom("idempotency_keys")
      .where("person", "=", person)
      .where("key", "=", key)
      .where("created_at_ms", "<=", nowMs - KEPT_KEYS_MS)
      .execute();
  }
  return old.length;
}

// Of the completed content: white space and order of members make no other request. Hashed, so that the table
// stays small and comparing takes the same time for all.
function fingerprintOf(content: TaskContent): string {
  return createHash("sha256").update(JSON.stringify(content)).digest("base64url");
}
