import type { Kysely, Selectable } from "kysely";
import type { TaskTables } from "./schema.ts";
import type { Person } from "./task-store.ts";

export type PersonRow = Selectable<TaskTables["people"]>;

/** The person's row, if they were ever seen. */
export async function findPerson(
  query: Kysely<TaskTables>,
  person: Person,
): Promise<PersonRow | undefined> {
  return query
    .selectFrom("people")
    .selectAll()
    .where("source", "=", person.source)
    .where("subject", "=", person.subject)
    .executeTakeFirst();
}

/** The person's row, made at their first change. */
export async function ensurePerson(query: Kysely<TaskTables>, person: Person): Promise<PersonRow> {
  await query
    .insertInto("people")
    .values({ source: person.source, subject: person.subject })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  const row = await findPerson(query, person);
  if (row === undefined) throw new Error("A person who was just added is missing");
  return row;
}
