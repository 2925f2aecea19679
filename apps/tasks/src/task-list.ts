import type { PageCursors } from "@tidegate/service-kit";
import { sql, type Kysely, type RawBuilder } from "kysely";
import { taskFault } from "./fault.ts";
import { parseSort, type ListQuery, type SortField } from "./list-query.ts";
import type { PersonRow } from "./people.ts";
import type { TaskTables } from "./schema.ts";
import { toSearchQuery } from "./search-query.ts";
import { toTask, type TaskRow } from "./task-row.ts";
import type { TaskPage } from "./task-store.ts";
import { PRIORITIES } from "./task.ts";

/**
 * One page of a person's tasks. Pages go by the last task's own place in the order, not by counting: whatever is
 * added or removed meanwhile, a task that stays and keeps its place is listed exactly once.
 */
export async function listTasks(
  query: Kysely<TaskTables>,
  person: PersonRow,
  options: { readonly list: ListQuery; readonly cursors: PageCursors },
): Promise<TaskPage> {
  const { list, cursors } = options;
  const sort = parseSort(list.sort ?? "position");
  const limit = list.limit ?? 50;
  const order = SORT_KEYS[sort.field](sort.isDescending);
  const scope = scopeOf(person, list);
  let select = query
    .selectFrom("tasks")
    .selectAll()
    .select(order.as("sort_key"))
    .where("person", "=", person.number);

  if (list.status !== undefined) select = select.where("status", "in", list.status);
  if (list.priority !== undefined) {
    select = select.where(
      "priority",
      "in",
      list.priority.map((name) => PRIORITIES.indexOf(name)),
    );
  }
  for (const tag of list.tag ?? []) {
    select = select.where(
      sql<boolean>`exists (select 1 from json_each(tasks.tags) where value = ${tag})`,
    );
  }
  if (list.dueBefore !== undefined) select = select.where("due_date", "<", list.dueBefore);
  if (list.dueAfter !== undefined) select = select.where("due_date", ">", list.dueAfter);
  if (list.q !== undefined) {
    const search = toSearchQuery(list.q, person.number);
    if (search === undefined) return { items: [], nextCursor: null };
    select = select.where(
      sql<boolean>`number in (select rowid from tasks_search where tasks_search match ${search})`,
    );
  }
  if (list.cursor !== undefined) {
    const place = cursors.open(scope, list.cursor);
    if (place === undefined) throw foreignCursor();
    const [key, id] = place;
    select = select.where(
      sort.isDescending
        ? sql<boolean>`(${order}, id) < (${key}, ${id})`
        : sql<boolean>`(${order}, id) > (${key}, ${id})`,
    );
  }

  const direction = sort.isDescending ? "desc" : "asc";
  // One more than asked for tells whether there is another page.
  const rows = await select
    .orderBy(order, direction)
    .orderBy("id", direction)
    .limit(limit + 1)
    .execute();
  const page = rows.slice(0, limit);
  const last = rows.length > limit ? page.at(-1) : undefined;
  return {
    items: page.map((row) => toTask(row satisfies TaskRow)),
    nextCursor: last === undefined ? null : cursors.seal(scope, [last.sort_key, last.id]),
  };
}

type SortKey = RawBuilder<string | number>;

// The missing due date is replaced by a text beyond all dates in that direction, so that it comes last either way.
const SORT_KEYS = {
  position: () => sql`position`,
  createdAt: () => sql`created_at_ms`,
  updatedAt: () => sql`updated_at_ms`,
  dueDate: (isDescending) =>
    isDescending ? sql`coalesce(due_date, '')` : sql`coalesce(due_date, '~')`,
  priority: () => sql`priority`,
  title: () => sql`title_key`,
} as const satisfies Record<SortField, (isDescending: boolean) => SortKey>;

function scopeOf(person: PersonRow, list: ListQuery): string {
  const { cursor: _cursor, limit: _limit, ...conditions } = list;
  const named = Object.entries(conditions).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([person.source, person.subject, named]);
}

function foreignCursor(): Error {
  return taskFault(
    "invalid_request",
    "Cannot list from there: the cursor was not made for this list; start from the first page",
    { mistakes: [{ pointer: "#/query/cursor", detail: "was not made for this list" }] },
  );
}
