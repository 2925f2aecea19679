// A Fastify server with a limit on everybody by address, one on payments by user, and one on bytes sent.
import fastify, { type FastifyRequest } from "fastify";
import { callerKey } from "@tidegate/limits";
import { byAddress, fastifyLimits, routeLimits } from "@tidegate/limits/fastify";

export async function startServer(port: number) {
  const app = fastify();

  // Before the routes, and awaited. Unknown paths are limited too.
  await app.register(
    fastifyLimits<FastifyRequest>({
      limits: [
        { kind: "bucket", name: "address", count: 600, seconds: 60, burst: 20, key: byAddress },
      ],
      skip: (request) => request.url === "/health",
    }),
  );

  app.get("/health", () => "ok");

  // Five payments a minute for each user; one that failed on our side is not counted.
  app.post<{ Body: { amount: number } }>(
    "/payments",
    {
      config: routeLimits<FastifyRequest>([
        {
          kind: "window",
          name: "pay",
          limit: 5,
          seconds: 60,
          key: (request) => callerKey("user", userOf(request)),
          refundWhen: (status) => status >= 500,
        },
      ]),
    },
    (request) => ({ paid: request.body.amount }),
  );

  // A megabyte a minute for each user, whatever the number of requests. More than that at once is 413.
  app.put(
    "/notes",
    {
      config: routeLimits<FastifyRequest>([
        {
          kind: "bucket",
          name: "upload",
          count: 1_000_000,
          seconds: 60,
          burst: 1_000_000,
          unit: "content-bytes",
          at: "preHandler",
          key: (request) => callerKey("user", userOf(request)),
          cost: (request) => Buffer.byteLength(JSON.stringify(request.body)),
        },
      ]),
    },
    () => "kept",
  );

  await app.listen({ port, host: "127.0.0.1" });
  return app;
}

/** Stands for a real sign-in: never limit by a field that callers write themselves. */
function userOf(request: FastifyRequest): string {
  return request.headers.authorization === "Bearer of-ada" ? "ada" : "somebody";
}
