import { formatPath } from "../config/config-error.ts";
import type { GatewayConfig, RouteConfig } from "../config/schema.ts";

/** A route in the words of a summary. */
export interface RouteDescription {
  readonly path: string;
  readonly hosts: readonly string[];
  readonly answers: readonly string[];
  readonly to: string;
  readonly auth: readonly string[];
  /** What a caller must have beside a credential. */
  readonly needs: readonly string[];
  readonly limits: readonly string[];
  readonly messageLimits: readonly string[];
}

/** Every route of a configuration, in the order of the file. */
export function describeRoutes(config: GatewayConfig): RouteDescription[] {
  return config.routes.map((route) => ({
    path: route.path,
    hosts: route.hosts ?? [],
    answers: answersOf(route),
    to: route.to,
    auth: route.auth === "none" ? [] : route.auth.by,
    needs: needsOf(route),
    limits: [...config.limits, ...route.limits].map(({ name }) => name),
    messageLimits: (route.websocket?.limits ?? []).map(({ name, exceed }) => `${name}: ${exceed}`),
  }));
}

/** The same as lines for people; limits stand below their route. */
export function routesTable(config: GatewayConfig): string[] {
  const routes = describeRoutes(config);
  const widths = [
    Math.max(...routes.map(({ path, hosts }) => placeOf(path, hosts).length)),
    Math.max(...routes.map(({ answers }) => answers.join(" ").length)),
    Math.max(...routes.map(({ to }) => to.length)),
  ] as const;
  return routes.flatMap((route, index) => {
    const who = route.auth.length === 0 ? "anybody" : route.auth.join(" or ");
    const needs = route.needs.length === 0 ? "" : `, with ${route.needs.join(", ")}`;
    const line = [
      formatPath(["routes", index]),
      placeOf(route.path, route.hosts).padEnd(widths[0]),
      route.answers.join(" ").padEnd(widths[1]),
      `→ ${route.to}`.padEnd(widths[2] + 2),
      `${who}${needs}`,
    ].join("  ");
    const below = [
      ...route.limits.map((limit) => `requests ${limit}`),
      ...route.messageLimits.map((limit) => `messages ${limit}`),
    ];
    return [line, ...below.map((limit) => `             ${limit}`)];
  });
}

const placeOf = (path: string, hosts: readonly string[]): string =>
  hosts.length === 0 ? path : `${path} on ${hosts.join(", ")}`;

function answersOf({ methods, websocket }: RouteConfig): string[] {
  const requests = methods ?? (websocket === undefined ? ["every method"] : []);
  return websocket === undefined ? [...requests] : [...requests, "WebSocket"];
}

function needsOf({ auth }: RouteConfig): string[] {
  if (auth === "none") return [];
  return [
    ...auth.scopes.map((scope) => `scope ${scope}`),
    ...(auth.acr.length === 0 ? [] : [`level ${auth.acr.join(" or ")}`]),
    ...(auth.maxAgeSeconds === undefined ? [] : [`a sign-in of the last ${auth.maxAgeSeconds} s`]),
  ];
}
