import type { Selectable } from "kysely";
import type { TaskTables } from "./schema.ts";
import { PRIORITIES, STATUSES, type Task, type TaskContent } from "./task.ts";

export type TaskRow = Selectable<TaskTables["tasks"]>;

/** A stored row as it is served. */
export function toTask(row: TaskRow): Task {
  const status = STATUSES.find((known) => known === row.status);
  const priority = PRIORITIES[row.priority];
  if (status === undefined || priority === undefined) throw new Error(`Row ${row.id} is damaged`);
  return {
    id: row.id,
    title: row.title,
    notes: row.notes,
    status,
    priority,
    dueDate: row.due_date,
    tags: JSON.parse(row.tags),
    position: row.position,
    version: row.version,
    createdAt: toTimestamp(row.created_at_ms),
    updatedAt: toTimestamp(row.updated_at_ms),
    completedAt: row.completed_at_ms === null ? null : toTimestamp(row.completed_at_ms),
  };
}

/** The columns that hold what a person wrote. */
export function toColumns(
  content: TaskContent,
): Pick<TaskRow, "title" | "title_key" | "notes" | "status" | "priority" | "due_date" | "tags"> {
  return {
    title: content.title,
    title_key: toTitleKey(content.title),
    notes: content.notes,
    status: content.status,
    priority: PRIORITIES.indexOf(content.priority),
    due_date: content.dueDate,
    tags: JSON.stringify(content.tags),
  };
}

export function toTimestamp(ms: number): string {
  return new Date(ms).toISOString();
}

/** What titles are sorted by: case and compatibility forms (wide letters, ligatures) make no difference. */
function toTitleKey(title: string): string {
  return title.normalize("NFKC").toLowerCase();
}
