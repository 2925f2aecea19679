import {
  isNotModified,
  judgeIfMatch,
  MERGE_PATCH_MEDIA_TYPE,
  mergePatch,
  ProblemSchema,
  type Reply,
  type Request,
  type Service,
} from "@tidegate/service-kit";
import { Type } from "typebox";
import { parseIdempotencyKey } from "./idempotency-key.ts";
import { ListQuerySchema, type ListQuery } from "./list-query.ts";
import type { Person, TaskStore } from "./task-store.ts";
import {
  entityTag,
  TaskInputSchema,
  TaskPatchSchema,
  TaskSchema,
  toContent,
  type Task,
  type TaskInput,
} from "./task.ts";

export const TaskPageSchema = Type.Object(
  {
    items: Type.Array(TaskSchema, { maxItems: 100 }),
    nextCursor: Type.Unsafe<string | null>({
      type: ["string", "null"],
      description: "Give it as `cursor` to get the next page; null at the end.",
    }),
  },
  { title: "TaskPage", additionalProperties: false },
);

const NeighbourId = Type.String({ format: "uuid" });
export const PlaceSchema = Type.Union(
  [
    Type.Object({ before: NeighbourId }, { additionalProperties: false }),
    Type.Object({ after: NeighbourId }, { additionalProperties: false }),
    Type.Object(
      { to: Type.Enum(["first", "last"], { type: "string" }) },
      { additionalProperties: false },
    ),
  ],
  { title: "Place" },
);

/** The schemas that have a name in the document. */
export const TASK_SCHEMAS = {
  Task: TaskSchema,
  TaskInput: TaskInputSchema,
  TaskPatch: TaskPatchSchema,
  TaskPage: TaskPageSchema,
  Place: PlaceSchema,
  Problem: ProblemSchema,
};

const IdParams = Type.Object({ id: Type.String({ description: "The task's id." }) });
const IfMatch = Type.Object({
  "if-match": Type.Optional(
    Type.String({ maxLength: 1_000, description: "The ETag that the change is based on, or `*`." }),
  ),
});
const IfNoneMatch = Type.Object({
  "if-none-match": Type.Optional(
    Type.String({ maxLength: 1_000, description: "The ETag already there; 304 if it is current." }),
  ),
});
const ETag = { description: "Names this version.", required: true, schema: { type: "string" } };
const NOT_MODIFIED = { description: "What you have is current.", headers: { ETag } };
const ONE_TASK = {
  description: "The task.",
  headers: { ETag },
  content: { "application/json": { schema: TaskSchema } },
};

/** Adds the REST half of the service: a person's own tasks, each change judged against the version it is based on. */
export function addTaskRoutes(service: Service, store: TaskStore): void {
  addCollection(service, store);
  addItem(service, store);
  addMove(service, store);
}

function addCollection({ app }: Service, store: TaskStore): void {
  app.get(
    "/tasks",
    {
      schema: {
        operationId: "listTasks",
        summary: "List tasks",
        querystring: ListQuerySchema,
        headers: IfNoneMatch,
        response: {
          200: {
            description: "One page.",
            headers: {
              ETag: { ...ETag, description: "Changes whenever any of the person's tasks does." },
              Link: {
                description: 'The next page, `rel="next"` (RFC 8288), unless this is the last.',
                schema: { type: "string" },
              },
            },
            content: { "application/json": { schema: TaskPageSchema } },
          },
          304: NOT_MODIFIED,
        },
      },
    },
    async (request, reply) => {
      const person = personOf(request);
      // Read before the page: if a change comes in between, the tag is older than the page, and the next question gets a full answer.
      const tag = `W/"tasks-${await store.newestSequence(person)}"`;
      const page = await store.list(person, request.query);
      reply.header("etag", tag);
      if (page.nextCursor !== null) {
        reply.header("link", `<${nextLink(request.query, page.nextCursor)}>; rel="next"`);
      }
      return isNotModified(request.headers["if-none-match"], tag) ? reply.code(304).send() : page;
    },
  );

  app.post(
    "/tasks",
    {
      config: {
        takes: "application/json",
        faults: ["task_quota_exceeded", "idempotency_key_reused"],
      },
      schema: {
        operationId: "createTask",
        summary: "Create a task at the end of the list",
        headers: Type.Object({
          "idempotency-key": Type.Optional(
            Type.String({
              description:
                "A new one for each new task, 1 to 255 visible characters. The same key with the same body within 24 hours answers the task that was made then.",
            }),
          ),
        }),
        body: TaskInputSchema,
        response: {
          201: {
            ...ONE_TASK,
            headers: {
              ETag,
              Location: {
                description: "Where the task is.",
                required: true,
                schema: { type: "string" },
              },
              "Idempotency-Replayed": {
                description: "`true` when the task had been made before.",
                schema: { type: "string", enum: ["true"] },
              },
            },
          },
        },
      },
    },
    async (request, reply) => {
      const person = personOf(request);
      const key = parseIdempotencyKey(request.headers["idempotency-key"]);
      const { task, isReplay } = await store.create(person, toContent(request.body), key);
      if (isReplay) reply.header("idempotency-replayed", "true");
      reply.code(201).header("location", `/tasks/${task.id}`);
      return sendTask(reply, task);
    },
  );
}

function addItem({ app }: Service, store: TaskStore): void {
  app.get(
    "/tasks/:id",
    {
      config: { faults: ["task_not_found"] },
      schema: {
        operationId: "readTask",
        summary: "Read a task",
        params: IdParams,
        headers: IfNoneMatch,
        response: { 200: ONE_TASK, 304: NOT_MODIFIED },
      },
    },
    async (request, reply) => {
      const task = await store.read(personOf(request), request.params.id);
      if (!isNotModified(request.headers["if-none-match"], entityTag(task))) {
        return sendTask(reply, task);
      }
      return reply.code(304).header("etag", entityTag(task)).send();
    },
  );

  app.put(
    "/tasks/:id",
    {
      config: { takes: "application/json", faults: CHANGE_FAULTS },
      schema: {
        operationId: "replaceTask",
        summary: "Replace what was written",
        description: "Members left out get their defaults again.",
        params: IdParams,
        headers: IfMatch,
        body: TaskInputSchema,
        response: { 200: ONE_TASK },
      },
    },
    async (request, reply) => {
      const task = await store.update(personOf(request), request.params.id, (current) => {
        judge(request, current);
        return toContent(request.body);
      });
      return sendTask(reply, task);
    },
  );

  app.patch(
    "/tasks/:id",
    {
      config: { takes: MERGE_PATCH_MEDIA_TYPE, faults: CHANGE_FAULTS },
      schema: {
        operationId: "patchTask",
        summary: "Change some of it, by JSON merge patch (RFC 7396)",
        params: IdParams,
        headers: IfMatch,
        body: TaskPatchSchema,
        response: { 200: ONE_TASK },
      },
    },
    async (request, reply) => {
      const task = await store.update(personOf(request), request.params.id, (current) => {
        judge(request, current);
        const { title, notes, status, priority, dueDate, tags } = current;
        const written: TaskInput = { title, notes, status, priority, dueDate, tags };
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- task and patch fit their schemas, and a patch that removes the title does not
        return toContent(mergePatch(written, request.body) as TaskInput);
      });
      return sendTask(reply, task);
    },
  );

  app.delete(
    "/tasks/:id",
    {
      config: { faults: CHANGE_FAULTS },
      schema: {
        operationId: "deleteTask",
        summary: "Delete a task",
        params: IdParams,
        headers: IfMatch,
        response: { 204: { description: "It is gone." } },
      },
    },
    async (request, reply) => {
      await store.remove(personOf(request), request.params.id, (current) =>
        judge(request, current),
      );
      return reply.code(204).send();
    },
  );
}

function addMove({ app }: Service, store: TaskStore): void {
  app.post(
    "/tasks/:id/move",
    {
      config: {
        takes: "application/json",
        faults: ["task_not_found", "neighbour_not_found", "precondition_failed"],
      },
      schema: {
        operationId: "moveTask",
        summary: "Put a task somewhere else in the person's own order",
        description:
          "A place is relative, so nothing is overwritten unseen: If-Match may be given, and need not.",
        params: IdParams,
        headers: IfMatch,
        body: PlaceSchema,
        response: { 200: ONE_TASK },
      },
    },
    async (request, reply) => {
      const task = await store.move(personOf(request), request.params.id, {
        place: request.body,
        judge: (current) => {
          if (request.headers["if-match"] !== undefined) judge(request, current);
        },
      });
      return sendTask(reply, task);
    },
  );
}

const CHANGE_FAULTS = [
  "task_not_found",
  "precondition_failed",
  "precondition_required",
  "invalid_request",
];

function personOf(request: Request): Person {
  return { source: request.identity.source, subject: request.identity.subject };
}

function judge(request: { readonly headers: { "if-match"?: string } }, current: Task): void {
  const refusal = judgeIfMatch(request.headers["if-match"], entityTag(current));
  if (refusal !== undefined) throw refusal;
}

function sendTask(reply: Reply, task: Task): Task {
  reply.header("etag", entityTag(task));
  return task;
}

function nextLink(query: ListQuery, cursor: string): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...query, cursor })) {
    for (const one of [value].flat()) parameters.append(name, String(one));
  }
  return `/tasks?${parameters.toString()}`;
}
