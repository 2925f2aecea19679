import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { once } from "node:events";
import type { Clock } from "@tidegate/clock";
import { adminRefused } from "../record/events.ts";
import { EXPOSITION_CONTENT_TYPE } from "../record/exposition.ts";
import type { Log } from "../record/logger.ts";
import { jsonAnswer, problemAnswer, type AdminAnswer } from "./admin-answer.ts";
import { createHostCheck } from "./admin-host.ts";
import type { AdminToken } from "./admin-token.ts";
import type { PenaltyStore } from "../penalty/penalty-store.ts";
import { liftPenalty, listPenalties } from "./penalty-pages.ts";
import { listRevocations, revoke, type RevocationSource } from "./revocation-pages.ts";
import { HEALTHY, toReadinessAnswer, type Readiness } from "./readiness.ts";

/** What operators ask: metrics and health. Apart from the public listener, on loopback unless configured otherwise. */
export interface AdminListener extends AsyncDisposable {
  /** @returns such as `http://127.0.0.1:9090` @throws {Error} when the port is taken */
  listen(): Promise<string>;
  /** Takes no more connections, and ends those that are there at the deadline. Safe to call again. */
  close(): Promise<void>;
}

/** The bounds. Operators and their scrapers are few; everybody else should not be able to use up anything. */
const LIMITS = {
  // Request line and fields; a bearer token and what a scraper sends fit ten times.
  maxHeaderBytes: 8_192,
  // From the first byte to the end of the head: slow header attacks end here.
  headersTimeoutMs: 5_000,
  requestTimeoutMs: 5_000,
  keepAliveTimeoutMs: 5_000,
  // How often Node looks for those that are late.
  checkIntervalMs: 500,
  // Further ones are closed at once.
  maxConnections: 64,
  // How long an answer may find nobody reading, and what close() waits.
  socketTimeoutMs: 10_000,
  closeDeadlineMs: 1_000,
} as const;

export function createAdminListener(options: {
  readonly config: { readonly host: string; readonly port: number };
  readonly token: AdminToken;
  /** Renders the metrics page. */
  readonly metrics: () => string | Promise<string>;
  /** What limits hold and have refused, as JSON. */
  readonly limitOverview: () => unknown;
  readonly readiness: () => readonly Readiness[];
  /** Absent: nobody is ever boxed. */
  readonly penalties?: PenaltyStore | undefined;
  readonly revocations: RevocationSource;
  readonly log: Log;
  readonly clock: Clock;
  /** For tests: shorter waits. */
  readonly limits?: Partial<Record<keyof typeof LIMITS, number>>;
}): AdminListener {
  const { config, token, metrics, limitOverview, readiness, log, clock } = options;
  const limits = { ...LIMITS, ...options.limits };
  const isOurName = createHostCheck(config.host);

  /** The order matters: the name first, so that a rebound page learns nothing; then the token, so that nobody does. */
  const answerTo = async (request: IncomingMessage): Promise<AdminAnswer> => {
    const hosts = request.headersDistinct["host"] ?? [];
    const [host] = hosts;
    if (host === undefined || hosts.length > 1 || !isOurName(host)) {
      return problemAnswer(421, "foreign-host", "This host is not served here");
    }
    const path = pathOf(request.url ?? "");
    if (path === undefined) return problemAnswer(400, "bad-target", "The target is not a path");
    if (hasBody(request)) return problemAnswer(413, "body", "No body is expected here");
    const isOpen = path === "/healthz" || path === "/readyz";
    if (!isOpen && !carriesToken(request, token)) {
      const isMissing = request.headers.authorization === undefined;
      return problemAnswer(
        401,
        isMissing ? "token-missing" : "token-wrong",
        "The admin token is needed",
        {
          // RFC 6750 §3.1: no error code when nothing was shown.
          "www-authenticate": isMissing
            ? 'Bearer realm="tidegate admin"'
            : 'Bearer realm="tidegate admin", error="invalid_token"',
        },
      );
    }
    // A command, so no page: a link or a cache must not do it.
    if (path === "/penalties/lift") {
      if (request.method === "POST") return await liftPenalty(options.penalties, request.url ?? "");
      return problemAnswer(405, "method", "Only POST is served here", { allow: "POST" });
    }
    if (path === "/revocations" && request.method === "POST")
      return await revoke(options.revocations, request.url ?? "");
    const page = PAGES.get(path);
    if (page === undefined) return problemAnswer(404, "unknown-path", "Nothing is served here");
    if (request.method !== "GET" && request.method !== "HEAD") {
      const isCommand = path === "/revocations";
      const allow = isCommand ? "GET, HEAD, POST" : "GET, HEAD";
      return problemAnswer(405, "method", `Only ${allow} are served here`, { allow });
    }
    const { penalties, revocations } = options;
    return await page({ metrics, limitOverview, readiness, penalties, revocations });
  };

  const respond = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    let answer: AdminAnswer;
    try {
      answer = await answerTo(request);
    } catch (error) {
      answer = problemAnswer(500, "defect", "The gateway failed");
      log.event("error", "defect.found", {
        where: "admin listener",
        error: error instanceof Error ? error : new Error(String(error)),
      });
    }
    if (answer.refusal !== undefined) {
      const { status, refusal: reason } = answer;
      adminRefused(log, { status, reason, address: request.socket.remoteAddress ?? "" });
    }
    send(response, answer);
  };

  const server = createServer(
    {
      maxHeaderSize: limits.maxHeaderBytes,
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      connectionsCheckingInterval: limits.checkIntervalMs,
      insecureHTTPParser: false,
      joinDuplicateHeaders: false,
      noDelay: true,
    },
    (request, response) => void respond(request, response),
  );
  server.maxConnections = limits.maxConnections;
  server.setTimeout(limits.socketTimeoutMs);
  // No upgrades here: without this listener Node would leave the connection open, with nobody to end it.
  server.on("upgrade", (_request, socket) => void socket.destroy());

  const close = async (): Promise<void> => {
    if (!server.listening) return;
    const deadline = clock.after(limits.closeDeadlineMs, () => server.closeAllConnections());
    server.close();
    server.closeIdleConnections();
    await once(server, "close");
    deadline.cancel();
  };

  return {
    async listen() {
      const place = `${config.host}:${config.port}`;
      try {
        server.listen(config.port, config.host);
        await once(server, "listening");
      } catch (cause) {
        const isTaken = cause instanceof Error && "code" in cause && cause.code === "EADDRINUSE";
        const reason = isTaken ? "the port is taken" : String(cause);
        throw new Error(`Cannot open the admin listener on ${place}: ${reason}`, { cause });
      }
      const address = server.address();
      if (address === null || typeof address === "string") {
        throw new Error(`Cannot open the admin listener on ${place}: no TCP address`);
      }
      const host = address.family === "IPv6" ? `[${address.address}]` : address.address;
      return `http://${host}:${address.port}`;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

interface PageSources {
  readonly penalties: PenaltyStore | undefined;
  readonly revocations: RevocationSource;
  readonly metrics: () => string | Promise<string>;
  readonly limitOverview: () => unknown;
  readonly readiness: () => readonly Readiness[];
}

const INDEX = {
  "/": "this list",
  "/healthz": "whether the process is alive; needs no token",
  "/readyz": "whether every part can work, and which cannot; needs no token",
  "/metrics": "Prometheus metrics",
  "/penalties": "who sits in the penalty box, or did lately",
  "/penalties/lift?caller=…": "POST: lets a caller out, as the list names them",
  "/revocations": "what is revoked and still counts",
  "/revocations?issuer=…&subject=…":
    "POST: revokes a person's sign-ins (or session=…, token=…; leaked=1: only access tokens), on every worker",
  "/limits": "what limits hold and have refused, and proposals for those in shadow mode",
};

type Page = (sources: PageSources) => AdminAnswer | Promise<AdminAnswer>;

const PAGES: ReadonlyMap<string, Page> = new Map<string, Page>([
  ["/", () => jsonAnswer(200, `${JSON.stringify({ endpoints: INDEX })}\n`)],
  ["/healthz", () => jsonAnswer(HEALTHY.status, HEALTHY.body)],
  [
    "/readyz",
    ({ readiness }) => {
      const { status, body } = toReadinessAnswer(readiness());
      return jsonAnswer(status, body);
    },
  ],
  ["/revocations", ({ revocations }) => listRevocations(revocations)],
  ["/penalties", ({ penalties }) => listPenalties(penalties)],
  ["/limits", ({ limitOverview }) => jsonAnswer(200, `${JSON.stringify(limitOverview())}\n`)],
  [
    "/metrics",
    async ({ metrics }) => ({
      status: 200,
      contentType: EXPOSITION_CONTENT_TYPE,
      body: await metrics(),
    }),
  ],
]);

/** Origin form only (RFC 9112 §3.2.1): in the absolute form the target's host would outrank Host, which we checked. */
function pathOf(target: string): string | undefined {
  if (!target.startsWith("/") || target.startsWith("//")) return undefined;
  const query = target.indexOf("?");
  return query < 0 ? target : target.slice(0, query);
}

function hasBody(request: IncomingMessage): boolean {
  const { headers } = request;
  return (
    headers["transfer-encoding"] !== undefined ||
    (headers["content-length"] !== undefined && headers["content-length"] !== "0")
  );
}

function carriesToken(request: IncomingMessage, token: AdminToken): boolean {
  // Two credentials at once are none: which one counts must not depend on who reads.
  const fields = request.headersDistinct["authorization"] ?? [];
  const [field] = fields;
  if (field === undefined || fields.length > 1) return false;
  const [scheme, offered, ...more] = field.split(" ");
  if (scheme?.toLowerCase() !== "bearer" || offered === undefined || more.length > 0) return false;
  return token.matches(offered);
}

function send(response: ServerResponse, answer: AdminAnswer): void {
  const body = Buffer.from(answer.body, "utf8");
  response.writeHead(answer.status, {
    "content-type": answer.contentType,
    "content-length": body.length,
    // Answers are for who asked, now: no cache may keep them, no page of another site may read them.
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
    ...(answer.refusal === undefined ? {} : { connection: "close" }),
    ...answer.fields,
  });
  response.end(response.req.method === "HEAD" ? undefined : body);
}
