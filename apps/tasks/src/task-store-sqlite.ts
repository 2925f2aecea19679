import { isDeepStrictEqual } from "node:util";
import type { Clock, Random } from "@tidegate/clock";
import {
  createPageCursors,
  timeUuid,
  type Database,
  type PageCursors,
} from "@tidegate/service-kit";
import type { Kysely } from "kysely";
import { appendChange, readChanges, sweepChanges } from "./change-log.ts";
import { taskFault } from "./fault.ts";
import { findAnswer, keepAnswer, sweepKeys } from "./idempotency.ts";
import type { ListQuery } from "./list-query.ts";
import { ensurePerson, findPerson, type PersonRow } from "./people.ts";
import { renumber, toPosition } from "./reorder.ts";
import type { TaskTables } from "./schema.ts";
import { listTasks } from "./task-list.ts";
import { toColumns, toTask, type TaskRow } from "./task-row.ts";
import type { Change, Person, Place, TaskPage, TaskStore } from "./task-store.ts";
import { toContent, type Task, type TaskContent } from "./task.ts";

export interface TaskStoreOptions {
  readonly database: Database<TaskTables>;
  readonly clock: Clock;
  readonly random: Random;
  readonly maxTasksPerPerson: number;
  /** Called after a change of this person is on disk. Must not throw. */
  readonly changed: (person: Person) => void;
}

/** Tasks in SQLite. The contract is `TaskStore`'s. */
export async function openTaskStore(options: TaskStoreOptions): Promise<TaskStore> {
  const { query } = options.database;
  // Kept with the data: a page being read when the process restarts goes on afterwards.
  await query
    .insertInto("settings")
    .values({ name: "cursor-key", value: options.random.bytes(32) })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  const { value } = await query
    .selectFrom("settings")
    .select("value")
    .where("name", "=", "cursor-key")
    .executeTakeFirstOrThrow();
  return new SqliteTaskStore(options, createPageCursors(value));
}

type Queries = Kysely<TaskTables>;

class SqliteTaskStore implements TaskStore {
  readonly #options: TaskStoreOptions;
  readonly #query: Queries;
  readonly #cursors: PageCursors;

  constructor(options: TaskStoreOptions, cursors: PageCursors) {
    this.#options = options;
    this.#query = options.database.query;
    this.#cursors = cursors;
  }

  async list(person: Person, list: ListQuery): Promise<TaskPage> {
    const known = await findPerson(this.#query, person);
    // A cursor is judged even if there is nothing to list.
    const row = known ?? { ...NOBODY, ...person };
    return listTasks(this.#query, row, { list, cursors: this.#cursors });
  }

  async newestSequence(person: Person): Promise<number> {
    return (await findPerson(this.#query, person))?.sequence ?? 0;
  }

  async read(person: Person, id: string): Promise<Task> {
    const owner = await findPerson(this.#query, person);
    if (owner === undefined) throw notFound();
    return toTask(await readRow(this.#query, owner, id));
  }

  async create(
    person: Person,
    content: TaskContent,
    idempotencyKey?: string,
  ): Promise<{ task: Task; isReplay: boolean }> {
    return this.#change(person, async (query, owner, nowMs) => {
      const use =
        idempotencyKey === undefined
          ? undefined
          : { person: owner.number, key: idempotencyKey, content, nowMs };
      const earlier = use && (await findAnswer(query, use));
      if (earlier !== undefined) return { task: earlier, isReplay: true };
      if (owner.task_count >= this.#options.maxTasksPerPerson) throw this.#overQuota();
      const task = await this.#insert(query, owner, { content, nowMs });
      if (use !== undefined) await keepAnswer(query, use, task);
      return { task, isReplay: false };
    });
  }

  async update(person: Person, id: string, judge: (current: Task) => TaskContent): Promise<Task> {
    return this.#change(person, async (query, owner, nowMs) => {
      const row = await readRow(query, owner, id);
      const current = toTask(row);
      const content = judge(current);
      if (isDeepStrictEqual(content, contentOf(current))) return current;
      const becomesDone = content.status === "done" && current.status !== "done";
      const completedAtMs = content.status === "done" ? row.completed_at_ms : null;
      return this.#rewrite(query, owner, {
        row,
        nowMs,
        columns: { ...toColumns(content), completed_at_ms: becomesDone ? nowMs : completedAtMs },
      });
    });
  }

  async remove(person: Person, id: string, judge: (current: Task) => void): Promise<void> {
    await this.#change(person, async (query, owner, nowMs) => {
      const row = await readRow(query, owner, id);
      judge(toTask(row));
      await query.deleteFrom("tasks").where("number", "=", row.number).execute();
      await countTasks(query, owner, -1);
      await appendChange(query, owner.number, { kind: "deleted", id, atMs: nowMs });
    });
  }

  async move(
    person: Person,
    id: string,
    options: { readonly place: Place; readonly judge: (current: Task) => void },
  ): Promise<Task> {
    return this.#change(person, async (query, owner, nowMs) => {
      let row = await readRow(query, owner, id);
      options.judge(toTask(row));
      let position = await toPosition(query, row, options.place);
      if (position === undefined) {
        await renumber(query, owner.number);
        await appendChange(query, owner.number, { kind: "reordered", atMs: nowMs });
        row = await readRow(query, owner, id);
        position = await toPosition(query, row, options.place);
      }
      if (position === undefined) throw new Error("No place in a list that was just numbered anew");
      if (position === row.position) return toTask(row);
      return this.#rewrite(query, owner, { row, nowMs, columns: { position } });
    });
  }

  async changesAfter(
    person: Person,
    sequence: number,
    limit: number,
  ): Promise<readonly Change[] | undefined> {
    const owner = await findPerson(this.#query, person);
    if (owner === undefined) return sequence === 0 ? [] : undefined;
    return readChanges(this.#query, owner, { after: sequence, limit });
  }

  async sweep(): Promise<number> {
    const nowMs = this.#options.clock.wallMs();
    return this.#query.transaction().execute(async (query) => {
      return (await sweepChanges(query, nowMs)) + (await sweepKeys(query, nowMs));
    });
  }

  /** Runs a change in a transaction, and tells of it once it is on disk. */
  async #change<Result>(
    person: Person,
    work: (query: Queries, owner: PersonRow, nowMs: number) => Promise<Result>,
  ): Promise<Result> {
    const result = await this.#query.transaction().execute(async (query) => {
      // A person is noted at their first task; who changes nothing, or what is not there, leaves no trace.
      const owner = await ensurePerson(query, person);
      return work(query, owner, this.#options.clock.wallMs());
    });
    this.#options.changed(person);
    return result;
  }

  async #insert(
    query: Queries,
    owner: PersonRow,
    facts: { readonly content: TaskContent; readonly nowMs: number },
  ): Promise<Task> {
    const { content, nowMs } = facts;
    const unplaced = { person: owner.number, id: "", position: "" };
    const position = await toPosition(query, unplaced, { to: "last" });
    if (position === undefined) throw new Error("No place at the end of a list");
    const row = await query
      .insertInto("tasks")
      .values({
        ...toColumns(content),
        id: timeUuid(this.#options.clock, this.#options.random),
        person: owner.number,
        position,
        version: 1,
        created_at_ms: nowMs,
        updated_at_ms: nowMs,
        completed_at_ms: content.status === "done" ? nowMs : null,
      })
      .returningAll()
      .executeTakeFirstOrThrow();
    await countTasks(query, owner, 1);
    const task = toTask(row);
    await appendChange(query, owner.number, { kind: "created", task, atMs: nowMs });
    return task;
  }

  async #rewrite(
    query: Queries,
    owner: PersonRow,
    facts: { readonly row: TaskRow; readonly columns: Partial<TaskRow>; readonly nowMs: number },
  ): Promise<Task> {
    const row = await query
      .updateTable("tasks")
      .set({ ...facts.columns, version: facts.row.version + 1, updated_at_ms: facts.nowMs })
      .where("number", "=", facts.row.number)
      .returningAll()
      .executeTakeFirstOrThrow();
    const task = toTask(row);
    await appendChange(query, owner.number, { kind: "updated", task, atMs: facts.nowMs });
    return task;
  }

  #overQuota(): Error {
    return taskFault(
      "task_quota_exceeded",
      `Cannot create the task: you have ${this.#options.maxTasksPerPerson} tasks, which is as many as one person may have`,
    );
  }
}

const NOBODY = { number: -1, sequence: 0, forgotten: 0, log_bytes: 0, task_count: 0 };

async function readRow(query: Queries, owner: PersonRow, id: string): Promise<TaskRow> {
  const row = await query
    .selectFrom("tasks")
    .selectAll()
    .where("id", "=", id)
    .where("person", "=", owner.number)
    .executeTakeFirst();
  if (row === undefined) throw notFound();
  return row;
}

async function countTasks(query: Queries, owner: PersonRow, by: 1 | -1): Promise<void> {
  await query
    .updateTable("people")
    .set((row) => ({ task_count: row("task_count", "+", by) }))
    .where("number", "=", owner.number)
    .execute();
}

function contentOf(task: Task): TaskContent {
  return toContent({ ...task, tags: [...task.tags] });
}

function notFound(): Error {
  return taskFault("task_not_found", "Cannot find the task: you have none with this id");
}
