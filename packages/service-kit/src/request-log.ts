import type { Logger } from "./logger.ts";
import type { ServiceApp } from "./service.ts";

/** One line per request, with the route's pattern: no query, no body, no field that could carry a credential. */
export function logRequests(app: ServiceApp, logger: Logger): void {
  app.addHook("onResponse", async (request, reply) => {
    logger.info({
      event: "request.finished",
      method: request.method,
      route: request.routeOptions.url ?? "none",
      status: reply.statusCode,
      durationMs: Math.round(reply.elapsedTime * 10) / 10,
      ...traceOf(request.headers["traceparent"]),
    });
  });
}

/** The trace that the gateway began or joined (W3C Trace Context §3.2); anything else is left out of the log. */
function traceOf(field: unknown): { traceId?: string } {
  const match =
    typeof field === "string" ? /^00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/.exec(field) : null;
  return match?.[1] === undefined ? {} : { traceId: match[1] };
}
