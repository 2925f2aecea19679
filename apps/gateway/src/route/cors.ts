import type { RequestHead } from "../accept/request-head.ts";
import type { ProblemAnswer } from "../forward/problem.ts";
import { refusalProblem } from "../forward/problem.ts";
import { REASONS } from "../judge/reason.ts";
import type { Identifiers } from "../record/identifiers.ts";
import { routeForMethod, type RouteTable } from "./route-table.ts";
import type { Route } from "./route.ts";

/**
 * Adds what lets a page of another origin read the answer (Fetch standard, CORS protocol). Nothing is added for origins
 * that are not configured, and the answer says that it depends on the origin either way, so that no cache gives one
 * origin's answer to another. @param fields flat list
 */
export function addCorsFields(
  fields: string[],
  { route, origin }: { readonly route: Pick<Route, "config">; readonly origin: string | undefined },
): void {
  const { cors } = route.config;
  if (cors === undefined) return;
  if (cors.origins.includes("*")) {
    fields.push("Access-Control-Allow-Origin", "*");
  } else {
    fields.push("Vary", "Origin");
    if (origin === undefined || !cors.origins.includes(origin)) return;
    fields.push("Access-Control-Allow-Origin", origin);
    if (cors.credentials) fields.push("Access-Control-Allow-Credentials", "true");
  }
  fields.push("Access-Control-Expose-Headers", [...EXPOSED, ...cors.exposedHeaders].join(", "));
}

/** Whether an upstream's field would contradict ours. @param name as it came */
export function isCorsField(name: string): boolean {
  return name.length > 15 && name.slice(0, 15).toLowerCase() === "access-control-";
}

/** Step 2 of the road: answers preflights, before anything is charged and whoever is calling. */
export interface Preflights {
  /** @returns undefined when the request is no preflight for a route with CORS */
  answer(head: RequestHead): ProblemAnswer | undefined;
}

export function createPreflights(
  table: RouteTable,
  { typeBase, identifiers }: { readonly typeBase: string; readonly identifiers: Identifiers },
): Preflights {
  if (table.routes.every(({ config }) => config.cors === undefined))
    return { answer: () => undefined };
  return {
    answer(head) {
      const { origin } = head;
      if (head.method !== "OPTIONS" || origin === undefined) return undefined;
      const method = requestedMethod(head);
      const place = method === undefined ? undefined : table.find(head.host, head.path);
      if (method === undefined || place === undefined) return undefined;
      const route = routeForMethod(place, method);
      const cors = route?.config.cors;
      if (route === undefined || cors === undefined) return undefined;
      const fields: string[] = [];
      addCorsFields(fields, { route, origin });
      fields.push("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers");
      if (!fields.includes("Access-Control-Allow-Origin"))
        return refusalProblem(REASONS.origin_refused, {
          typeBase,
          requestId: identifiers.long(),
          fields,
        });
      fields.push("Access-Control-Allow-Methods", method);
      fields.push("Access-Control-Allow-Headers", allowedFields(cors.headers));
      fields.push("Access-Control-Max-Age", String(cors.maxAgeSeconds));
      return { status: 204, fields, body: "" };
    },
  };
}

/** What says how long to wait and what to show: a client that may not read it cannot obey. */
const EXPOSED = ["Retry-After", "RateLimit", "RateLimit-Policy", "WWW-Authenticate"];

function requestedMethod({ fields }: RequestHead): string | undefined {
  for (let at = 0; at + 1 < fields.length; at += 2)
    if (fields[at]?.toLowerCase() === "access-control-request-method") return fields[at + 1];
  return undefined;
}

/** A `*` would not include Authorization (Fetch standard), so names are always listed. */
const allowedFields = (configured: readonly string[]): string =>
  [...new Set(["Authorization", "Content-Type", "Tidegate-CSRF", ...configured])].join(", ");
