import { STATUS_CODES } from "node:http";
import type { Random } from "@tidegate/clock";
import { randomUuid, type Logger } from "@tidegate/service-kit";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { errorPage } from "../pages/error-page.ts";
import { pageHeaders, SECURITY_HEADERS } from "./page-headers.ts";
import { Refused } from "./refused.ts";

/**
 * Makes every failure one answer and one line in the log under the same id: a page for a browser, else an RFC 9457
 * problem document.
 * @returns the same for failures that come before the app has a route
 */
export function answerFailures(
  app: FastifyInstance,
  options: { readonly random: Random; readonly logger: Logger },
): (error: unknown, request: FastifyRequest, reply: FastifyReply) => FastifyReply {
  const answer = (error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const refused = toRefused(error);
    const errorId = randomUuid(options.random);
    const line = { errorId, method: request.method, route: request.routeOptions.url ?? "none" };
    if (refused.status < 500) {
      options.logger.info({ event: "request.refused", ...line, reason: refused.message });
    } else {
      options.logger.error({ event: "request.failed", ...line, err: refused.cause ?? refused });
    }
    reply
      .code(refused.status)
      .headers({ ...SECURITY_HEADERS, ...pageHeaders(), ...refused.fields });
    const title = STATUS_CODES[refused.status] ?? "Error";
    if (wantsPage(request)) {
      return reply
        .type("text/html; charset=utf-8")
        .send(errorPage({ title, message: refused.message, errorId }));
    }
    const problem = { type: "about:blank", title, status: refused.status, detail: refused.message };
    return reply
      .type("application/problem+json")
      .send(Buffer.from(JSON.stringify({ ...problem, instance: `urn:uuid:${errorId}` })));
  };
  app.setErrorHandler(answer);
  app.setNotFoundHandler((request, reply) =>
    answer(new Refused(404, "There is nothing at this address."), request, reply),
  );
  return answer;
}

/** Whether a person looks at the answer. */
export function wantsPage(request: FastifyRequest): boolean {
  return (request.headers.accept ?? "").includes("text/html");
}

function toRefused(error: unknown): Refused {
  if (error instanceof Refused) return error;
  // The framework's own refusals (body too large, unknown media type) carry their status.
  if (error instanceof Error && "statusCode" in error) {
    const status = Number(error.statusCode);
    if (status >= 400 && status < 500) return new Refused(status, error.message, { cause: error });
  }
  return new Refused(500, "Something broke on our side.", { cause: error });
}
