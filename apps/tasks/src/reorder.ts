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
  const gap = await findGap(query, task, place);
  if (gap === "its own") return task.position;
  const position = positionBetween(gap.before, gap.after);
  return position.length > LONGEST_POSITION ? undefined : position;
}

/** The positions around a place; undefined at an end of the list. */
interface Gap {
  readonly before: Position | undefined;
  readonly after: Position | undefined;
}

async function findGap(
  query: Kysely<TaskTables>,
  task: Placed,
  place: Place,
): Promise<Gap | "its own"> {
  if ("to" in place) {
    const isLast = place.to === "last";
    const end = await neighbour(query, task.person, { direction: isLast ? "before" : "after" });
    if (end?.id === task.id) return "its own";
    return isLast
      ? { before: end?.position, after: undefined }
      : { before: undefined, after: end?.position };
  }
  const isBefore = "before" in place;
  const anchorId = isBefore ? place.before : place.after;
  if (anchorId === task.id) return "its own";
  const anchor = await query
    .selectFrom("tasks")
    .select("position")
    .where("person", "=", task.person)
    .where("id", "=", anchorId)
    .executeTakeFirst();
  if (anchor === undefined) throw unknownNeighbour(isBefore ? "before" : "after");
  const direction = isBefore ? "before" : "after";
  const next = await neighbour(query, task.person, { direction, of: anchor.position });
  if (next?.id === task.id) return "its own";
  return isBefore
    ? { before: next?.position, after: anchor.position }
    : { before: anchor.position, after: next?.position };
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

/** The task next to a position, or the one at that end of the list. */
async function neighbour(
  query: Kysely<TaskTables>,
  person: number,
  options: { readonly direction: "before" | "after"; readonly of?: Position },
): Promise<{ readonly id: string; readonly position: Position } | undefined> {
  const isBefore = options.direction === "before";
  let select = query.selectFrom("tasks").select(["id", "position"]).where("person", "=", person);
  if (options.of !== undefined) select = select.where("position", isBefore ? "<" : ">", options.of);
  return select
    .orderBy("position", isBefore ? "desc" : "asc")
    .limit(1)
    .executeTakeFirst();
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
