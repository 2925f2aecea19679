import { hash, timingSafeEqual } from "node:crypto";
import type { Random } from "@tidegate/clock";
import type { Logger } from "@tidegate/service-kit";
import {
  fastify,
  LogController,
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyRequest,
} from "fastify";
import type { IdentityEvents } from "../events.ts";
import type { Person } from "../people/person.ts";
import type { SessionRecord } from "../provider/session-store.ts";
import { answerFailures } from "../web/failure-answer.ts";
import { Refused } from "../web/refused.ts";
import type { NewAccount, PeopleAdministration } from "./people-administration.ts";

export interface AdminAppOptions {
  readonly token: string;
  readonly administration: PeopleAdministration;
  readonly events: IdentityEvents;
  readonly rotateKeys: (when: "in-order" | "at-once") => Promise<void>;
  readonly random: Random;
  readonly logger: Logger;
}

const MAX_BODY_BYTES = 16 * 1024;
const MAX_PAGE = 500;

/** The administrators' HTTP API, on a listener of its own: JSON, a bearer token, loopback names only. */
export function createAdminApp(options: AdminAppOptions): FastifyInstance {
  const { administration } = options;
  const loggerInstance: FastifyBaseLogger = options.logger.child({}, { level: "warn" });
  const app: FastifyInstance = fastify({
    loggerInstance,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: 30_000,
    forceCloseConnections: "idle",
  });
  answerFailures(app, options);
  app.addHook("onRequest", async (request, reply) => {
    reply.headers({ "cache-control": "no-store", "x-content-type-options": "nosniff" });
    if (!isLoopbackHost(request.headers.host)) throw new Refused(421, "Not a name of this server.");
    if (!hasToken(request, options.token)) {
      options.events.administered({ action: "authenticate", isDone: false });
      throw new Refused(401, "The administrators' token is missing or wrong.", {
        fields: { "www-authenticate": 'Bearer realm="identity-admin"' },
      });
    }
  });

  app.get("/people", async ({ query }) => {
    const { search, after, limit = "100" } = query as Record<string, string | undefined>;
    const count = Number(limit);
    if (!Number.isInteger(count) || count < 1 || count > MAX_PAGE) {
      throw new Refused(400, `limit must be a whole number from 1 to ${MAX_PAGE}.`);
    }
    const people = await administration.list({ search, after, limit: count });
    return {
      people: people.map(toJson),
      ...(people.length === count && { next: people.at(-1)?.loginName }),
    };
  });
  app.post("/people", async (request, reply) => {
    const made = await administration.create(readAccount(request.body));
    return reply.code(201).send({ ...toJson(made.person), password: made.password });
  });
  app.get<Who>("/people/:who", async ({ params }) => toJson(await administration.find(params.who)));
  app.post<Who>("/people/:who/disable", async ({ params }) => {
    const { person, endedSessions } = await administration.disable(params.who);
    return { ...toJson(person), endedSessions };
  });
  app.post<Who>("/people/:who/enable", async ({ params }) =>
    toJson(await administration.enable(params.who)),
  );
  app.post<Who>("/people/:who/reset", async ({ params, body }) => {
    const { password, send } = readObject(body ?? {}, ["password", "send"]);
    if (send !== undefined) {
      if (send !== "link" || password !== undefined) {
        throw new Refused(400, "send must be link, and comes without a password.");
      }
      return { ...toJson(await administration.sendReset(params.who)), sent: "link" };
    }
    const { person, ...made } = await administration.reset(params.who, password);
    return { ...toJson(person), ...made };
  });
  app.get<Who>("/people/:who/sessions", async ({ params }) => ({
    sessions: (await administration.sessions(params.who)).map(sessionToJson),
  }));
  app.post<Who>("/people/:who/end-sessions", async ({ params }) => {
    const { person, endedSessions } = await administration.endSessions(params.who);
    return { ...toJson(person), endedSessions };
  });
  app.delete<{ Params: { who: string; session: string } }>(
    "/people/:who/sessions/:session",
    async ({ params }, reply) => {
      await administration.endSession(params.who, params.session);
      return reply.code(204).send();
    },
  );
  app.post("/keys/rotate", async ({ body }) => {
    const { when = "in-order" } = readObject(body ?? {}, ["when"]);
    if (when !== "in-order" && when !== "at-once") {
      throw new Refused(400, "when must be in-order or at-once.");
    }
    await options.rotateKeys(when);
    return { rotated: when };
  });
  return app;
}

interface Who {
  Params: { who: string };
}

function hasToken(request: FastifyRequest, token: string): boolean {
  const given = /^Bearer ([\w-]{1,256})$/.exec(request.headers.authorization ?? "")?.[1] ?? "";
  const digest = (text: string): Buffer => hash("sha256", text, "buffer");
  return timingSafeEqual(digest(given), digest(token));
}

/** DNS rebinding: a page whose name points at 127.0.0.1 still says its own name. */
const isLoopbackHost = (host: string | undefined): boolean =>
  /^(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/.test(host ?? "");

function readAccount(body: unknown): NewAccount {
  const { loginName, ...rest } = readObject(body, [
    "loginName",
    "displayName",
    "email",
    "password",
  ]);
  if (loginName === undefined) throw new Refused(400, "loginName is missing.");
  return { loginName, ...rest };
}

/** A JSON object of texts. A misspelled field is refused, not ignored: `pasword` must not mean "make one". */
function readObject<Name extends string>(
  body: unknown,
  names: readonly Name[],
): Partial<Record<Name, string>> {
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new Refused(400, "The body must be a JSON object.");
  }
  for (const [name, value] of Object.entries(body)) {
    if (!(names as readonly string[]).includes(name)) {
      throw new Refused(400, `${name} is not known; known are ${names.join(", ")}.`);
    }
    if (typeof value !== "string") throw new Refused(400, `${name} must be a text.`);
  }
  return body;
}

const toJson = (person: Person) => ({
  id: person.id,
  loginName: person.loginName,
  displayName: person.displayName,
  email: person.email,
  isEmailVerified: person.isEmailVerified,
  isDisabled: person.isDisabled,
  createdAt: new Date(person.createdAtMs).toISOString(),
});

const sessionToJson = ({ session, ...use }: SessionRecord) => ({
  id: session.uid,
  startedAt: new Date(use.startedAtMs).toISOString(),
  lastUsedAt: new Date(use.lastUsedAtMs).toISOString(),
  userAgent: use.userAgent,
  acr: session.acr,
  clients: session.clients.map(({ clientId }) => clientId),
});
