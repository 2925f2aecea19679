import { FAULTS } from "../fault.ts";
import { REASON_BY_CODE } from "../judge/reason.ts";
import { HEALTHY, toReadinessAnswer, type Readiness } from "../admin/readiness.ts";
import type { ProblemAnswer } from "../forward/problem.ts";
import type { OwnEndpoint } from "./own-endpoint.ts";
import type { RequestHead } from "./request-head.ts";

/**
 * What the public listener answers by itself, before any route: health, keys, what problem types mean, and whatever
 * endpoints the parts bring.
 */
export interface OwnEndpoints {
  /** @returns undefined when the request is for a route; an endpoint when its answer may have to wait */
  answer(
    head: RequestHead,
    servedHosts: ReadonlySet<string>,
  ): ProblemAnswer | OwnEndpoint | undefined;
}

export const OWN_PREFIX = "/.tidegate/";
/** Where the pages of problem types are, below the public URL. */
export const PROBLEMS_PATH = `${OWN_PREFIX}problems/`;

export function createOwnEndpoints({
  readiness,
  jwks,
  endpoints = [],
}: {
  readiness: () => readonly Readiness[];
  /** Public keys of the forwarded assertion. */
  jwks: () => object;
  /** No two of them match one path. */
  endpoints?: readonly OwnEndpoint[];
}): OwnEndpoints {
  return {
    answer(head, servedHosts) {
      // Probes ask by address and by whatever name they have (any Host), and learn nothing they could misuse.
      if (head.path === "/healthz")
        return only(["GET"], head, () => json(HEALTHY.status, HEALTHY.body));
      if (head.path === "/readyz")
        return only(["GET"], head, () => {
          const { status, body } = toReadinessAnswer(readiness());
          return json(status, body);
        });
      if (!head.path.startsWith(OWN_PREFIX) || !servedHosts.has(head.host)) return undefined;
      if (head.path === `${OWN_PREFIX}jwks.json`)
        return only(["GET"], head, () => json(200, JSON.stringify(jwks()), KEYS_CACHE));
      if (head.path.startsWith(PROBLEMS_PATH)) {
        const page = problemPage(head.path.slice(PROBLEMS_PATH.length));
        if (page !== undefined) return only(["GET"], head, () => page);
      }
      const endpoint = endpoints.find((one) => one.matches(head.path));
      if (endpoint !== undefined) return only(endpoint.methods, head, () => endpoint);
      return json(404, '{"title":"Nothing is served at this path","status":404}\n');
    },
  };
}

// Services read the keys again when they meet an unknown one; this only spares the repeated question.
const KEYS_CACHE = "public, max-age=60";

function only<Answer>(
  methods: readonly string[],
  head: RequestHead,
  answer: () => Answer,
): Answer | ProblemAnswer {
  if (methods.includes(head.method) || (head.method === "HEAD" && methods.includes("GET")))
    return answer();
  const allow = [...methods, ...(methods.includes("GET") ? ["HEAD"] : [])].join(", ");
  const refused = json(405, '{"title":"This method is not allowed here","status":405}\n');
  return { ...refused, fields: [...refused.fields, "Allow", allow] };
}

function json(status: number, body: string, cacheControl = "no-store"): ProblemAnswer {
  const type = status < 400 || status === 503 ? "application/json" : "application/problem+json";
  return { status, fields: ["Content-Type", type, "Cache-Control", cacheControl], body };
}

function problemPage(name: string): ProblemAnswer | undefined {
  const reason = REASON_BY_CODE.find((kind) => kind.name === name && kind.status >= 400);
  const fault = Object.entries(FAULTS).find(([kind]) => kind.replaceAll("_", "-") === name)?.[1];
  const known = reason ?? fault;
  if (known === undefined) return undefined;
  return {
    status: 200,
    fields: ["Content-Type", "text/plain; charset=utf-8", "Cache-Control", "public, max-age=3600"],
    body: `${name}\n\n${known.title} (HTTP ${known.status}, WebSocket close ${known.closeCode}).\n`,
  };
}
