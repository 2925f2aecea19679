import { createStrictAjv } from "@tidegate/service-kit";
import { Type, type Static, type TSchema } from "typebox";
import type { Change } from "./task-store.ts";
import { TaskSchema } from "./task.ts";

const Sequence = Type.Integer({
  minimum: 0,
  description:
    "Counts this person's changes. Keep the highest one seen: it is `since` at the next connection.",
});
const Timestamp = Type.String({ format: "date-time" });

function message<Name extends string, Properties extends Record<string, TSchema>>(
  name: Name,
  properties: Properties,
): ReturnType<typeof Type.Object<{ type: ReturnType<typeof Type.Literal<Name>> } & Properties>> {
  return Type.Object({ type: Type.Literal(name), ...properties }, { additionalProperties: false });
}

/** What the feed says. Each is one text message. */
export const SERVER_MESSAGES = {
  "feed.ready": message("feed.ready", { sequence: Sequence }),
  "task.created": message("task.created", { sequence: Sequence, at: Timestamp, task: TaskSchema }),
  "task.updated": message("task.updated", { sequence: Sequence, at: Timestamp, task: TaskSchema }),
  "task.deleted": message("task.deleted", {
    sequence: Sequence,
    at: Timestamp,
    id: Type.String({ format: "uuid" }),
  }),
  "tasks.reordered": message("tasks.reordered", { sequence: Sequence, at: Timestamp }),
  "feed.resync": message("feed.resync", { sequence: Sequence }),
  pong: message("pong", {}),
} as const;

/** What a client may say. */
export const CLIENT_MESSAGES = {
  "feed.resume": message("feed.resume", {
    since: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
  }),
  ping: message("ping", {}),
} as const;

export const SERVER_MESSAGE_MEANINGS = {
  "feed.ready": "The first message: the feed goes on after this sequence.",
  "task.created": "A task was created.",
  "task.updated": "A task was changed or moved; it is whole.",
  "task.deleted": "A task was deleted.",
  "tasks.reordered":
    "All positions and versions were written anew, in the same order: read the list again.",
  "feed.resync":
    "What came after the sequence asked for is no longer kept: read the list again. The feed goes on after the sequence given.",
  pong: "Answers `ping`.",
} as const satisfies Record<keyof typeof SERVER_MESSAGES, string>;

export const CLIENT_MESSAGE_MEANINGS = {
  "feed.resume": "Go on after this sequence instead; the answer is `feed.ready` or `feed.resync`.",
  ping: "Are you there? For clients that cannot send WebSocket pings.",
} as const satisfies Record<keyof typeof CLIENT_MESSAGES, string>;

type Messages<Table extends Record<string, TSchema>> = {
  [Name in keyof Table]: Static<Table[Name]>;
}[keyof Table];
export type ServerMessage = Messages<typeof SERVER_MESSAGES>;
export type ClientMessage = Messages<typeof CLIENT_MESSAGES>;

/** A change as the feed says it. */
export function toMessage(change: Change): ServerMessage {
  const { sequence, at } = change;
  switch (change.kind) {
    case "created":
      return { type: "task.created", sequence, at, task: change.task };
    case "updated":
      return { type: "task.updated", sequence, at, task: change.task };
    case "deleted":
      return { type: "task.deleted", sequence, at, id: change.id };
    default:
      change.kind satisfies "reordered";
      return { type: "tasks.reordered", sequence, at };
  }
}

const ajv = createStrictAjv();
const validators = Object.values(CLIENT_MESSAGES).map((schema) =>
  ajv.compile<ClientMessage>(schema),
);

/** A client's message, or undefined when it breaks the contract. */
export function parseClientMessage(text: string): ClientMessage | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    // Not JSON is one more way to break the contract.
    return undefined;
  }
  for (const isValid of validators) if (isValid(parsed)) return parsed;
  return undefined;
}
