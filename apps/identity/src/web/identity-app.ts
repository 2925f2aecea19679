import formbody from "@fastify/formbody";
import type { Clock, Random } from "@tidegate/clock";
import type { Logger } from "@tidegate/service-kit";
import {
  fastify,
  LogController,
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
} from "fastify";
import { answerFailures } from "./failure-answer.ts";
import { isOwnForm, type OwnOrigin } from "./own-origin.ts";
import { pageHeaders, SECURITY_HEADERS } from "./page-headers.ts";
import { Refused } from "./refused.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    /** Taken from other origins as well: endpoints that read no cookie. */
    takesForeignPosts?: boolean;
  }
}

export interface IdentityAppOptions {
  /** Asked for every request, since the port may be known only after listening. */
  readonly own: () => OwnOrigin;
  readonly trustedProxies: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** What must hold for the provider to be useful now; throws when it does not. */
  readonly probe: () => void;
}

// A sign-in form, an authorization request, a token request: all far below.
const MAX_BODY_BYTES = 32 * 1024;
const REQUEST_TIMEOUT_MS = 30_000;
const KEEP_ALIVE_TIMEOUT_MS = 75_000;

/** The one HTTP app that pages, the protocol's endpoints and Basic's endpoint share: what holds for all of them stands here. */
export function createIdentityApp(options: IdentityAppOptions): FastifyInstance {
  const loggerInstance: FastifyBaseLogger = options.logger.child({}, { level: "warn" });
  const app: FastifyInstance = fastify({
    loggerInstance,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    return503OnClosing: true,
    forceCloseConnections: "idle",
    trustProxy: options.trustedProxies.length > 0 ? [...options.trustedProxies] : false,
    frameworkErrors: (error, request, reply) => void fail(error, request, reply),
  });
  const fail = answerFailures(app, options);
  app.removeAllContentTypeParsers();
  // oxlint-disable-next-line typescript/no-floating-promises -- fastify awaits its plugins before it listens
  app.register(formbody, { bodyLimit: MAX_BODY_BYTES });
  app.addHook("onRequest", async (request, reply) => {
    reply.headers(SECURITY_HEADERS);
    if (request.routeOptions.url === "/healthz" || request.routeOptions.url === "/readyz") return;
    const own = options.own();
    if (!own.isOwnHost(request.headers.host)) {
      throw new Refused(421, "This server does not answer to that name.");
    }
    if (request.method === "GET" || request.method === "HEAD" || request.method === "OPTIONS") {
      return;
    }
    if (request.routeOptions.config.takesForeignPosts === true) return;
    if (!isOwnForm(request.headers.origin, own)) {
      throw new Refused(403, "This form was not sent from one of our own pages.");
    }
  });
  app.addHook("onResponse", async (request, reply) => {
    options.logger.info({
      event: "request.finished",
      method: request.method,
      route: request.routeOptions.url ?? "none",
      status: reply.raw.statusCode,
      durationMs: Math.round(reply.elapsedTime * 10) / 10,
    });
  });
  app.get("/healthz", async () => ({ status: "live" }));
  app.get("/readyz", async () => {
    options.probe();
    return { status: "ready" };
  });
  return app;
}

/**
 * Sends a page with the fields every page has.
 * @param options.formTargets see `pageHeaders`
 */
export function sendPage(
  reply: FastifyReply,
  html: string,
  options: { readonly status?: number; readonly formTargets?: readonly string[] } = {},
): FastifyReply {
  return reply
    .code(options.status ?? 200)
    .headers(pageHeaders(options.formTargets))
    .type("text/html; charset=utf-8")
    .send(html);
}

/**
 * After every form: 303, so that the browser asks with GET and never sends the password again (RFC 9700 §4.12).
 */
export function seeOther(reply: FastifyReply, location: string): FastifyReply {
  return reply.code(303).header("cache-control", "no-store").header("location", location).send("");
}
