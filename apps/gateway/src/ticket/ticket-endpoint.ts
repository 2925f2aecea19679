import type { OwnEndpoint, OwnRequest } from "../accept/own-endpoint.ts";
import { OWN_PREFIX } from "../accept/own-endpoints.ts";
import { refusalProblem, type ProblemAnswer } from "../forward/problem.ts";
import { refusalAnswer, type AnswerContext } from "../forward/refusal-answer.ts";
import { REASON, REASONS } from "../judge/reason.ts";
import { refuseWith } from "../judge/refusal.ts";
import { VERDICT } from "../judge/verdict.ts";
import { fieldValues } from "../relay/fields.ts";
import type { Road } from "../road.ts";
import { toCanonicalPath } from "../route/canonical-path.ts";
import { addCorsFields } from "../route/cors.ts";
import type { RouteTable } from "../route/route-table.ts";
import type { MainThread } from "../worker/data-threads.ts";
import { MINT_TICKET, type MintedTicket, type TicketPlace } from "./ticket-desk.ts";

interface Means {
  readonly main: Pick<MainThread, "ask">;
  readonly road: Pick<Road, "vouch">;
  readonly table: RouteTable;
  readonly answers: AnswerContext;
}

/**
 * `POST /.tidegate/tickets {"path"}`: a one-time ticket for a handshake at that path, for whoever could open it with
 * the credential they show here (OWASP ASVS 4.4.4: obtained through the authenticated session).
 */
export function ticketEndpoint(means: Means): OwnEndpoint {
  return {
    matches: (path) => path === `${OWN_PREFIX}tickets`,
    methods: ["POST", "OPTIONS"],
    serve: (request) =>
      request.head.method === "OPTIONS" ? preflight(means, request) : mint(means, request),
  };
}

async function mint(means: Means, request: OwnRequest): Promise<ProblemAnswer> {
  const { main, road, table, answers } = means;
  const { head, visit } = request;
  const path = await readPath(request);
  const canonical = path === undefined ? undefined : toCanonicalPath(path);
  if (canonical === undefined) {
    const { typeBase } = answers;
    const detail = 'The body must be {"path": "/…"}: the path of a WebSocket route, without query';
    const { requestId } = request;
    return refusalProblem(REASONS.malformed_request, { typeBase, requestId, detail });
  }
  const route = table.find(head.host, canonical.path)?.socket;
  if (route === undefined) {
    refuseWith(visit.refusal, REASON.route_unknown);
    return refusalAnswer(visit, answers);
  }
  if (route.config.auth === "none") {
    const { typeBase } = answers;
    const detail = "Everybody may open this socket: it takes no ticket";
    return refusalProblem(REASONS.malformed_request, {
      typeBase,
      requestId: request.requestId,
      detail,
    });
  }
  const verdict = await road.vouch(visit, route);
  const { identity } = visit;
  if (verdict !== VERDICT.admit || identity === undefined) return refusalAnswer(visit, answers);
  const place: TicketPlace = { host: head.host, path: canonical.path, origin: head.origin };
  const minted = (await main.ask(MINT_TICKET, { place, identity }, ANSWER_DEADLINE_MS)) as
    | MintedTicket
    | "too-many"
    | "full";
  if (minted === "too-many" || minted === "full") {
    const reason = minted === "full" ? REASON.overloaded : REASON.tickets_open;
    refuseWith(visit.refusal, reason, { retryAfterMs: RETRY_AFTER_MS });
    return refusalAnswer(visit, answers);
  }
  const fields = ["Content-Type", "application/json", "Cache-Control", "no-store"];
  addCorsFields(fields, { route, origin: head.origin });
  return { status: 200, fields, body: `${JSON.stringify(minted)}\n` };
}

/** The path is in the body, which a preflight has not: an origin that some socket lets in may ask. */
function preflight({ table, answers }: Means, { head, requestId }: OwnRequest): ProblemAnswer {
  const { origin } = head;
  const route = table.routes.find(
    ({ config: { websocket, cors } }) =>
      websocket !== undefined &&
      cors !== undefined &&
      origin !== undefined &&
      cors.origins.includes(origin),
  );
  const { typeBase } = answers;
  const fields: string[] = [
    "Vary",
    "Access-Control-Request-Method, Access-Control-Request-Headers",
  ];
  if (route === undefined)
    return refusalProblem(REASONS.origin_refused, { typeBase, requestId, fields });
  addCorsFields(fields, { route, origin });
  fields.push("Access-Control-Allow-Methods", "POST");
  fields.push("Access-Control-Allow-Headers", "Authorization, Content-Type, DPoP, Tidegate-CSRF");
  fields.push("Access-Control-Max-Age", "600");
  return { status: 204, fields, body: "" };
}

/** `application/json` alone: a form of another site can send none (CSRF). */
async function readPath(request: OwnRequest): Promise<string | undefined> {
  const [type = ""] = fieldValues(request.head.fields, "content-type");
  if (type.split(";")[0]?.trim().toLowerCase() !== "application/json") return undefined;
  const body = await request.readBody(MAX_BODY_BYTES);
  if (body === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(body.toString("utf8"));
    if (typeof value !== "object" || value === null || !("path" in value)) return undefined;
    return typeof value.path === "string" && value.path.startsWith("/") ? value.path : undefined;
  } catch {
    return undefined; // Not JSON.
  }
}

/** A path of 8 KiB, which is the longest that is served. */
const MAX_BODY_BYTES = 8_192;
/** When the first open ticket ends, at the latest. */
const RETRY_AFTER_MS = 30_000;
const ANSWER_DEADLINE_MS = 2_000;
