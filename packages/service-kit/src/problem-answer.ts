import { STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import type { Random } from "@tidegate/clock";
import type { ErrorObject } from "ajv/dist/2020.js";
import type { FastifyReply, FastifyRequest } from "fastify";
import { Fault, serviceFault } from "./fault.ts";
import type { Logger } from "./logger.ts";
import { PROBLEM_MEDIA_TYPE, toProblem } from "./problem.ts";
import { randomUuid } from "./random-id.ts";
import { methodsOf, type ServiceRoute } from "./route-list.ts";
import type { ServiceApp } from "./service.ts";
import { toMistakes, type RequestPart } from "./validation.ts";

export interface ProblemAnswerOptions {
  readonly problemsUrl: string;
  readonly random: Random;
  readonly logger: Logger;
}

type Asked = Pick<FastifyRequest, "method" | "routeOptions">;

/**
 * Makes every failure of the app an answer of one form, and a line in the log under the same id.
 * @returns the same for failures that come before the app has a route
 */
export function answerProblems(
  app: ServiceApp,
  options: ProblemAnswerOptions & { readonly routes: readonly ServiceRoute[] },
): (error: unknown, request: Asked, reply: FastifyReply) => FastifyReply {
  const answer = (error: unknown, request: Asked, reply: FastifyReply): FastifyReply =>
    send(toFault(error, request.routeOptions.bodyLimit), request, reply);
  app.setErrorHandler(answer);
  app.setNotFoundHandler((request, reply) => {
    const allowed = methodsOf(options.routes, request.url.split("?", 1)[0] ?? "");
    const fault =
      allowed.length === 0
        ? serviceFault("not_found", "Cannot find anything at this path")
        : serviceFault(
            "method_not_allowed",
            `Cannot ${request.method} this: it knows ${allowed.join(", ")}`,
            {
              headers: { allow: allowed.join(", ") },
            },
          );
    return send(fault, request, reply);
  });

  return answer;

  function send(fault: Fault, request: Asked, reply: FastifyReply): FastifyReply {
    const errorId = randomUuid(options.random);
    logFault(options.logger, fault, {
      errorId,
      method: request.method,
      route: request.routeOptions.url ?? "none",
    });
    return (
      reply
        .code(fault.kind.status)
        .headers({ "cache-control": "no-store", ...fault.headers })
        .header("content-type", PROBLEM_MEDIA_TYPE)
        // As bytes: to a text the framework would add a charset, a parameter that JSON types do not have (RFC 8259 §11).
        .send(
          Buffer.from(
            JSON.stringify(toProblem(fault, { problemsUrl: options.problemsUrl, errorId })),
          ),
        )
    );
  }
}

/** Answers what Node's parser refused, for which there is no request, and ends the connection. */
export function answerMalformed(
  error: Error & { readonly code?: string },
  socket: Duplex,
  options: ProblemAnswerOptions,
): void {
  // The peer is gone, or the answer to it is under way already.
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  switch (error.code ?? "") {
    case "ERR_HTTP_REQUEST_TIMEOUT":
      refuseOnSocket(
        socket,
        serviceFault("request_timeout", "Cannot wait longer for the request"),
        options,
      );
      return;
    case "HPE_HEADER_OVERFLOW":
      refuseOnSocket(
        socket,
        serviceFault("fields_too_large", "Cannot read the header section: it is too large"),
        options,
      );
      return;
    default:
      refuseOnSocket(
        socket,
        serviceFault("malformed_request", "Cannot read the request: it is not valid HTTP", {
          cause: error,
        }),
        options,
      );
  }
}

/** Writes a whole answer to a connection that has no response object, and ends it. */
export function refuseOnSocket(socket: Duplex, fault: Fault, options: ProblemAnswerOptions): void {
  const errorId = randomUuid(options.random);
  logFault(options.logger, fault, { errorId, route: "none" });
  const body = JSON.stringify(toProblem(fault, { problemsUrl: options.problemsUrl, errorId }));
  const fields = {
    ...fault.headers,
    "cache-control": "no-store",
    "content-type": PROBLEM_MEDIA_TYPE,
    "content-length": String(Buffer.byteLength(body)),
    connection: "close",
  };
  const head = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  const { status } = fault.kind;
  socket.on("error", () => socket.destroy());
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n${head.join("")}\r\n${body}`,
    () => socket.destroy(),
  );
}

function logFault(logger: Logger, fault: Fault, facts: Readonly<Record<string, string>>): void {
  const line = { event: "request.refused", code: fault.code, ...facts };
  if (fault.kind.side === "client") {
    // The cause of a refused identity is an operator's only clue; a client's other mistakes speak for themselves.
    logger.info({
      ...line,
      reason: fault.cause instanceof Error ? fault.cause.message : fault.message,
    });
  } else {
    logger.error({ ...line, event: "request.failed", err: fault.cause ?? fault });
  }
}

function toFault(error: unknown, maxBodyBytes: number): Fault {
  if (error instanceof Fault) return error;
  const { validation, validationContext, code, errcode } = readError(error);
  if (validation !== undefined) {
    const part = validationContext ?? "body";
    return serviceFault(
      "invalid_request",
      `Cannot accept the ${PART_NAMES[part]}: it does not fit the contract`,
      {
        mistakes: toMistakes(validation, part),
      },
    );
  }
  switch (code ?? "") {
    case "FST_ERR_CTP_BODY_TOO_LARGE":
      return serviceFault(
        "body_too_large",
        `Cannot read the body: it is larger than ${maxBodyBytes} bytes`,
        {
          headers: { connection: "close" },
        },
      );
    case "FST_ERR_CTP_INVALID_MEDIA_TYPE":
    case "FST_ERR_CTP_EMPTY_TYPE":
      return serviceFault(
        "media_type_unsupported",
        "Cannot read the body: its media type is missing or unknown",
      );
    case "FST_ERR_CTP_INVALID_CONTENT_LENGTH":
    case "FST_ERR_BAD_URL":
      return serviceFault(
        "malformed_request",
        "Cannot read the request: its target or length is not valid",
      );
    case "FST_ERR_MAX_PARAM_LENGTH":
      return serviceFault("target_too_long", "Cannot read the path: a segment is too long");
    case "ERR_SQLITE_ERROR":
      return storeFault(error, errcode);
    default:
      return serviceFault("internal_error", "Cannot answer: something broke", { cause: error });
  }
}

interface ReadableError {
  readonly code?: string;
  readonly errcode?: number;
  readonly validation?: readonly ErrorObject[];
  readonly validationContext?: RequestPart;
}

/** What Fastify, Ajv and SQLite put on their errors. */
function readError(error: unknown): ReadableError {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- every member is optional, and each is set by its library alone
  return error instanceof Error ? (error as ReadableError) : {};
}

// SQLite's primary result codes that speak of the machine and not of the query: busy, locked, I/O error, full.
const STORE_TROUBLES: ReadonlySet<number> = new Set([5, 6, 10, 13]);

function storeFault(error: unknown, errcode = 0): Fault {
  return STORE_TROUBLES.has(errcode & 0xff)
    ? serviceFault("store_unavailable", "Cannot use the database", {
        cause: error,
        headers: { "retry-after": "1" },
      })
    : serviceFault("internal_error", "Cannot answer: a query failed", { cause: error });
}

const PART_NAMES = {
  body: "body",
  querystring: "query",
  params: "path",
  headers: "header fields",
} as const satisfies Record<RequestPart, string>;
