import { Type, type Static } from "typebox";

export const STATUSES = ["todo", "doing", "done"] as const;
/** In rising order; the place in this list is what is stored and sorted by. */
export const PRIORITIES = ["low", "normal", "high", "urgent"] as const;

export type Status = (typeof STATUSES)[number];
export type Priority = (typeof PRIORITIES)[number];

// One line that shows something: no control characters, no half of a surrogate pair (it has no UTF-8 and would come
// back changed). Anchored classes without nesting, so that hostile text is read in linear time.
const ONE_LINE = String.raw`^(?!\s*$)[^\p{Cc}\p{Cs}]*$`;
// Several lines: of the control characters only tab and line ends.
const SEVERAL_LINES = String.raw`^[\t\n\r\P{C}\p{Cf}\p{Co}\p{Cn}]*$`;

const title = {
  minLength: 1,
  maxLength: 200,
  pattern: ONE_LINE,
  description: "One line that says what to do.",
};
const notes = {
  maxLength: 10_000,
  pattern: SEVERAL_LINES,
  description: "Anything else, in several lines.",
};
const dueDate = { format: "date", description: "The day it is due (RFC 3339 full-date), or null." };
const tags = { maxItems: 20, uniqueItems: true, description: "Words to find it by." };
const Tag = Type.String({ minLength: 1, maxLength: 40, pattern: ONE_LINE });

/** What a person writes: the body of POST and PUT. Members left out get their defaults. */
export const TaskInputSchema = Type.Object(
  {
    title: Type.String(title),
    notes: Type.Optional(Type.String({ ...notes, default: "" })),
    status: Type.Optional(Type.Enum(STATUSES, { type: "string", default: "todo" })),
    priority: Type.Optional(Type.Enum(PRIORITIES, { type: "string", default: "normal" })),
    dueDate: Type.Optional(
      Type.Unsafe<string | null>({ type: ["string", "null"], ...dueDate, default: null }),
    ),
    tags: Type.Optional(Type.Array(Tag, { ...tags, default: [] })),
  },
  { title: "TaskInput", additionalProperties: false },
);

/** A JSON merge patch (RFC 7396) of what a person writes: null gives a member its default again. */
export const TaskPatchSchema = Type.Object(
  {
    title: Type.Optional(Type.String(title)),
    notes: Type.Optional(Type.Unsafe<string | null>({ type: ["string", "null"], ...notes })),
    status: Type.Optional(Type.Unsafe<Status | null>({ enum: [...STATUSES, null] })),
    priority: Type.Optional(Type.Unsafe<Priority | null>({ enum: [...PRIORITIES, null] })),
    dueDate: Type.Optional(Type.Unsafe<string | null>({ type: ["string", "null"], ...dueDate })),
    tags: Type.Optional(
      Type.Unsafe<string[] | null>({ type: ["array", "null"], items: Tag, ...tags }),
    ),
  },
  { title: "TaskPatch", additionalProperties: false },
);

/** A task as it is served. */
export const TaskSchema = Type.Object(
  {
    id: Type.String({ format: "uuid" }),
    title: Type.String(title),
    notes: Type.String(notes),
    status: Type.Enum(STATUSES, { type: "string" }),
    priority: Type.Enum(PRIORITIES, { type: "string" }),
    dueDate: Type.Unsafe<string | null>({ type: ["string", "null"], ...dueDate }),
    tags: Type.Array(Tag, tags),
    position: Type.String({
      pattern: "^[0-9A-Za-z]{1,64}$",
      description: "The place in the person's own order; compare as bytes. Changed by /move only.",
    }),
    version: Type.Integer({ minimum: 1, description: "Rises with every change." }),
    createdAt: Type.String({ format: "date-time" }),
    updatedAt: Type.String({ format: "date-time" }),
    completedAt: Type.Unsafe<string | null>({
      type: ["string", "null"],
      format: "date-time",
      description: "When the status last became `done`; null while it is not.",
    }),
  },
  { title: "Task", additionalProperties: false },
);

export type TaskInput = Static<typeof TaskInputSchema>;
export type Task = Readonly<Static<typeof TaskSchema>>;

/** What a person writes, complete. */
export interface TaskContent {
  readonly title: string;
  readonly notes: string;
  readonly status: Status;
  readonly priority: Priority;
  readonly dueDate: string | null;
  readonly tags: readonly string[];
}

/** Completes what was sent, in one fixed order of members, so that equal contents have equal JSON. */
export function toContent(input: TaskInput): TaskContent {
  return {
    title: input.title,
    notes: input.notes ?? "",
    status: input.status ?? "todo",
    priority: input.priority ?? "normal",
    dueDate: input.dueDate ?? null,
    tags: input.tags ?? [],
  };
}

/**
 * The strong entity tag of a task (RFC 9110 §8.8.3). The time is part of it because after a restored backup a
 * version number may be used again for something else.
 */
export function entityTag(task: Task): string {
  return `"${task.version}-${Date.parse(task.updatedAt).toString(36)}"`;
}
