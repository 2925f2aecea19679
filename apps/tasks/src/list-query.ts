import { Type, type Static } from "typebox";
import { PRIORITIES, STATUSES } from "./task.ts";

const SORT_FIELDS = ["position", "createdAt", "updatedAt", "dueDate", "priority", "title"] as const;
export type SortField = (typeof SORT_FIELDS)[number];

const SORTS = SORT_FIELDS.flatMap((field) => [field, `-${field}` as const]);
type Sort = SortField | `-${SortField}`;

const ONE_LINE = String.raw`^[^\p{Cc}\p{Cs}]*$`;

/** What to list, in which order. All given conditions must hold. */
export const ListQuerySchema = Type.Object(
  {
    status: Type.Optional(
      Type.Array(Type.Enum(STATUSES, { type: "string" }), {
        maxItems: 3,
        description: "Any of these; may be repeated.",
      }),
    ),
    priority: Type.Optional(
      Type.Array(Type.Enum(PRIORITIES, { type: "string" }), {
        maxItems: 4,
        description: "Any of these; may be repeated.",
      }),
    ),
    tag: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 40, pattern: ONE_LINE }), {
        maxItems: 20,
        description: "Has all of these; may be repeated.",
      }),
    ),
    dueBefore: Type.Optional(
      Type.String({ format: "date", description: "Due on a day before this one." }),
    ),
    dueAfter: Type.Optional(
      Type.String({ format: "date", description: "Due on a day after this one." }),
    ),
    q: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 200,
        pattern: ONE_LINE,
        description: "Words: each must begin some word of title, notes or tags.",
      }),
    ),
    sort: Type.Optional(
      Type.Unsafe<Sort>({
        type: "string",
        enum: SORTS,
        default: "position",
        description: "A leading minus turns the order around. Tasks without a due date come last.",
      }),
    ),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: 50 })),
    cursor: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 2_000,
        pattern: "^[A-Za-z0-9_-]+$",
        description: "`nextCursor` of the page before. Good only with the same filters and order.",
      }),
    ),
  },
  { title: "ListQuery", additionalProperties: false },
);

export type ListQuery = Static<typeof ListQuerySchema>;

/** The order asked for, taken apart. */
export function parseSort(sort: Sort): {
  readonly field: SortField;
  readonly isDescending: boolean;
} {
  const isDescending = sort.startsWith("-");
  const field = SORT_FIELDS.find((known) => known === (isDescending ? sort.slice(1) : sort));
  if (field === undefined) throw new RangeError(`No such order: ${sort}`);
  return { field, isDescending };
}
