import { sql, type Kysely } from "kysely";
import { taskFault } from "./fault.ts";
import { evenPositions, LONGEST_POSITION, positionBetween, type Position } from "./position.ts";
import type { TaskTables } from "./schema.ts";
import type { Place } from "./task-store.ts";

/** The task to place; one that is not in the list yet has neither id nor position. */
interface Placed {
  readonly person: number;
  readonly id: string;
  readonly position: Position;
}

/**
 * The position that puts a task at a place; its own when it is there already.
 * @returns undefined when no short enough text is left there, so that the list must be numbered anew first
 * @throws {Fault} `neighbour_not_found`
 */
export async function toPosition(
  query: Kysely<TaskTables>,
  task: Placed,
  place: Place,
): Promise<Position | undefined> {
  if ("to" in place) {
    const isLast = place.to === "last";
    const end = await neighbour(query, task, { direction: isLast ? "before" : "after" });
    return isLast ? positionBetween(end, undefined) : positionBetween(undefined, end);
  }
  const anchorId = "before" in place ? place.before : place.after;
  if (anchorId === task.id) return task.position;
  const anchor = await query
    .selectFrom("tasks")
    .select("position")
    .where("person", "=", task.person)
    .where("id", "=", anchorId)
    .executeTakeFirst();
  if (anchor === undefined) throw unknownNeighbour("before" in place ? "before" : "after");
  const position =
    "before" in place
      ? positionBetween(
          await neighbour(query, task, { direction: "before", of: anchor.position }),
          anchor.position,
        )
      : positionBetween(
          anchor.position,
          await neighbour(query, task, { direction: "after", of: anchor.position }),
        );
  return position.length > LONGEST_POSITION ? undefined : position;
}

/** Gives all of a person's tasks short positions again, in the same order. Their entity tags change. */
export async function renumber(query: Kysely<TaskTables>, person: number): Promise<void> {
  const rows = await query
    .selectFrom("tasks")
    .select("number")
    .where("person", "=", person)
    .orderBy("position")
    .orderBy("id")
    .execute();
  const positions = evenPositions(rows.length);
  const pairs = rows.map((row, index) => [row.number, positions[index]]);
  await sql`
    update tasks set position = pair.value ->> 1, version = version + 1
    from json_each(${JSON.stringify(pairs)}) as pair where tasks.number = pair.value ->> 0
  `.execute(query);
}

/** The position next to a place, or at that end of the list, not counting the task that moves. */
async function neighbour(
  query: Kysely<TaskTables>,
  task: Placed,
  options: { readonly direction: "before" | "after"; readonly of?: Position },
): Promise<Position | undefined> {
  const isBefore = options.direction === "before";
  let select = query
    .selectFrom("tasks")
    .select("position")
    .where("person", "=", task.person)
    .where("id", "!=", task.id);
  if (options.of !== undefined) select = select.where("position", isBefore ? "<" : ">", options.of);
  const row = await select
    .orderBy("position", isBefore ? "desc" : "asc")
    .limit(1)
    .executeTakeFirst();
  return row?.position;
}

function unknownNeighbour(name: "before" | "after"): Error {
  return taskFault(
    "neighbour_not_found",
    "Cannot move the task: the neighbour is none of your tasks",
    {
      mistakes: [{ pointer: `#/${name}`, detail: "is none of your tasks" }],
    },
  );
}
