import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Clock, Random } from "@tidegate/clock";
import {
  fastify,
  LogController,
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyTypeProvider,
} from "fastify";
import type { Static, TSchema } from "typebox";
import type { AssertedIdentity } from "@tidegate/auth";
import { serviceFault } from "./fault.ts";
import { addHealth } from "./health.ts";
import type { IdentityGate } from "./identity-gate.ts";
import { parseJsonBody } from "./json-body.ts";
import type { Logger } from "./logger.ts";
import { MERGE_PATCH_MEDIA_TYPE } from "./merge-patch.ts";
import { answerMalformed, answerProblems } from "./problem-answer.ts";
import { requireMediaType } from "./media-type.ts";
import { logRequests } from "./request-log.ts";
import { collectRoutes, type ServiceRoute } from "./route-list.ts";
import { createValidators, type RequestPart } from "./validation.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** Who the call is for. Set before any handler of a route that is not public. */
    identity: AssertedIdentity;
  }
  interface FastifyContextConfig {
    /** Answered without an assertion. Only for what tells nothing about anybody: the probes. */
    isPublic?: boolean;
    /** The media type of the body; anything else is 415. */
    takes?: string;
    /** Codes of the fault table that the route may answer, besides those that every route may. */
    faults?: readonly string[];
  }
  interface FastifySchema {
    operationId?: string;
    summary?: string;
    description?: string;
  }
}

/** Lets handlers see the static types of their TypeBox schemas. */
export interface SchemaTypes extends FastifyTypeProvider {
  readonly validator: this["schema"] extends TSchema ? Static<this["schema"]> : unknown;
  readonly serializer: unknown;
}

export type ServiceApp = FastifyInstance<
  Server,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  SchemaTypes
>;

export interface ServiceOptions {
  readonly gate: IdentityGate;
  /** The public address of the page made by `problemPage`. */
  readonly problemsUrl: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** What must hold for the service to be useful now; throws when it does not. */
  readonly probe: () => void;
  readonly maxBodyBytes?: number;
  /** Whether a request is an upgrade that the service takes; all others are answered as plain requests. */
  readonly isUpgrade?: (request: IncomingMessage) => boolean;
}

export interface Service {
  readonly app: ServiceApp;
  /** Every route added so far, for documents and tests. */
  readonly routes: readonly ServiceRoute[];
  /** From now on new requests are told to come back later, and readiness says no. */
  drain(): void;
}

// A task, an account, a document's metadata fit many times; a bigger body costs its sender a refusal and us nothing.
const MAX_BODY_BYTES = 64 * 1024;
// Slow senders give up their connection: 30 s for a whole request, as the gateway's own limits are shorter.
const REQUEST_TIMEOUT_MS = 30_000;
// Longer than the gateway keeps idle upstream connections, so that it, not we, ends them; else its next request may meet our FIN.
const KEEP_ALIVE_TIMEOUT_MS = 75_000;

/** The HTTP side of a service: identity first, then the contract, then the handler; every refusal is a problem. */
export function createService(options: ServiceOptions): Service {
  let isDraining = false;
  // The framework's own lines carry no event; its warnings are kept all the same.
  const loggerInstance: FastifyBaseLogger = options.logger.child({}, { level: "warn" });
  const app: ServiceApp = fastify({
    loggerInstance,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: options.maxBodyBytes ?? MAX_BODY_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    // Draining has its own answer below, in the same form as all others.
    return503OnClosing: false,
    forceCloseConnections: "idle",
    routerOptions: { maxParamLength: 100 },
    ...(options.isUpgrade && { http: { shouldUpgradeCallback: options.isUpgrade } }),
    clientErrorHandler: (error, socket) => answerMalformed(error, socket, options),
    frameworkErrors: (error, request, reply) => {
      answer(error, request, reply);
    },
  }).withTypeProvider<SchemaTypes>();

  const routes = collectRoutes(app);
  const answer = answerProblems(app, { ...options, routes });
  readBodies(app);
  const validators = createValidators();
  app.setValidatorCompiler(({ schema, httpPart }) =>
    validators(schema as object, partOf(httpPart)),
  );
  // Answers are written as they are: a serializer that drops what the document forgot would hide that the document lies.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));

  app.addHook("onRequest", async (request) => {
    if (request.routeOptions.config.isPublic === true) return;
    if (isDraining) {
      throw serviceFault("stopping", "Cannot take new work: the service is stopping", {
        headers: { "retry-after": "2", connection: "close" },
      });
    }
    request.identity = await options.gate(request.headers);
  });
  app.addHook("onRequest", requireMediaType);
  app.addHook("onSend", async (_request, reply) => {
    // What a person has written is theirs: kept by no shared cache, and never read as another type.
    if (!reply.hasHeader("cache-control")) reply.header("cache-control", "private, no-cache");
    reply.header("x-content-type-options", "nosniff");
  });
  logRequests(app, options.logger);
  addHealth(app, { isDraining: () => isDraining, probe: options.probe });

  return {
    app,
    routes,
    drain: () => {
      isDraining = true;
    },
  };
}

function partOf(httpPart: string | undefined): RequestPart {
  switch (httpPart) {
    case "querystring":
    case "params":
    case "headers":
      return httpPart;
    default:
      return "body";
  }
}

function readBodies(app: ServiceApp): void {
  app.removeAllContentTypeParsers();
  for (const type of ["application/json", MERGE_PATCH_MEDIA_TYPE]) {
    app.addContentTypeParser(type, { parseAs: "buffer" }, async (_request: unknown, body: Buffer) =>
      parseJsonBody(body),
    );
  }
}
