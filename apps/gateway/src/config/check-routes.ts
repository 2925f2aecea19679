import { BASIC_ACR } from "@tidegate/auth";
import { parsePathPattern } from "../route/path-pattern.ts";
import type { ConfigPath } from "./config-error.ts";
import { didYouMean } from "./did-you-mean.ts";
import type { Draft } from "./draft.ts";
import type { Findings } from "./findings.ts";
import { keyParts } from "./key-parts.ts";
import type { GatewayConfig, RouteConfig } from "./schema.ts";

type RouteDraft = Draft<RouteConfig>;

/** Routes against what they name, and against each other. */
export function checkRoutes(
  config: Draft<GatewayConfig>,
  broken: readonly ConfigPath[],
  findings: Findings,
): void {
  const upstreams = Object.keys(config.upstreams ?? {});
  const issuers = Object.keys(config.identity ?? {});
  const served = new Map<string, number>();
  for (const [index, route] of (config.routes ?? []).entries()) {
    if (route === undefined) continue;
    const path = ["routes", index];
    checkName(route.to, { path: [...path, "to"], among: upstreams, where: "upstreams", findings });
    if (typeof route.auth === "object") {
      for (const [position, name] of (route.auth.by ?? []).entries()) {
        const at = [...path, "auth", "by", position];
        checkName(name, { path: at, among: issuers, where: "identity", findings });
      }
    }
    checkReserved(route, path, findings);
    checkLevel(route, { config, path, findings });
    checkSocket(route, path, findings);
    checkCors(route, path, findings);
    if (!isPlaceBroken(index, broken)) checkCollisions(route, { index, served, findings });
  }
}

interface NameCheck {
  readonly path: ConfigPath;
  readonly among: readonly string[];
  readonly where: string;
  readonly findings: Findings;
}

function checkName(name: string | undefined, { path, among, where, findings }: NameCheck): void {
  if (name === undefined || among.includes(name)) return;
  const meant = didYouMean(name, among);
  const hint = meant === undefined ? "" : `; did you mean "${meant}"?`;
  findings.mistake(path, `is not a name under \`${where}\`${hint}`, among);
}

function checkReserved(route: RouteDraft, path: ConfigPath, findings: Findings): void {
  if (route.path === undefined || !RESERVED.test(route.path)) return;
  findings.mistake([...path, "path"], "belongs to the gateway's own endpoints, which answer first");
}

const RESERVED = /^\/(?:\.tidegate(?:\/.*)?|healthz|readyz)$/;

/** A users file vouches for a password alone, and nobody knows when it was typed. */
function checkLevel(
  { auth }: RouteDraft,
  {
    config,
    path,
    findings,
  }: { config: Draft<GatewayConfig>; path: ConfigPath; findings: Findings },
): void {
  if (typeof auth !== "object" || auth.by === undefined || auth.by.length === 0) return;
  const isPasswordOnly = auth.by.every(
    (name) => name !== undefined && config.identity?.[name]?.kind === "users-file",
  );
  if (!isPasswordOnly) return;
  const isLevelLacking = (auth.acr ?? []).length > 0 && auth.acr?.includes(BASIC_ACR) !== true;
  if (!isLevelLacking && auth.maxAgeSeconds === undefined) return;
  findings.warning(
    [...path, "auth", isLevelLacking ? "acr" : "maxAgeSeconds"],
    "lets nobody in: people of a users file have no level beyond their password and no time of sign-in",
  );
}

function checkSocket(route: RouteDraft, path: ConfigPath, findings: Findings): void {
  const { websocket } = route;
  if (websocket === undefined) return;
  const { pingIntervalMs, idleTimeoutMs } = websocket;
  if (
    pingIntervalMs !== undefined &&
    idleTimeoutMs !== undefined &&
    pingIntervalMs >= idleTimeoutMs
  ) {
    findings.mistake(
      [...path, "websocket", "pingIntervalMs"],
      `is not shorter than \`idleTimeoutMs\` (${idleTimeoutMs}), so quiet clients would be cut before they are asked`,
    );
  }
  if (route.auth !== "none") return;
  if (
    (route.limits ?? []).some(
      (limit) => limit !== undefined && !keyParts(limit.per).includes("connection"),
    )
  )
    return;
  findings.warning(
    [...path, "websocket"],
    'lets anybody open as many sockets as the listener takes; add a limit `per: "address"` to the route',
  );
}

/** With `*` any site could read what a person's own credentials show (Fetch standard, CORS protocol and credentials). */
function checkCors({ cors }: RouteDraft, path: ConfigPath, findings: Findings): void {
  if (cors?.origins?.includes("*") !== true) return;
  const at = [...path, "cors", "origins"];
  if (cors.origins.length > 1) findings.mistake(at, 'has "*" beside others, which it includes');
  if (cors.credentials === true)
    findings.mistake(at, 'has "*" with `credentials`, so every site could read as the person');
}

/** Whether what decides about a route's place is wrong: what is left of it would seem to serve more than was meant. */
function isPlaceBroken(index: number, broken: readonly ConfigPath[]): boolean {
  return broken.some(
    ([list, position, key, ...rest]) =>
      list === "routes" &&
      position === index &&
      rest.length === 0 &&
      (key === "methods" || key === "hosts" || key === "websocket"),
  );
}

interface CollisionCheck {
  readonly index: number;
  /** Which route was the first to serve something at a pattern and host. */
  readonly served: Map<string, number>;
  readonly findings: Findings;
}

/** Two routes that answer the same thing at the same place: which one would, is nobody's decision. */
function checkCollisions(route: RouteDraft, { index, served, findings }: CollisionCheck): void {
  const place = placeOf(route);
  if (place === undefined) return;
  const collisions = new Map<number, Set<string>>();
  // A host's own routes come before those for every host, so the two never collide.
  for (const host of route.hosts ?? ["every host"]) {
    for (const what of answersOf(route)) {
      const key = JSON.stringify([place, host, what]);
      const other = served.get(key) ?? index;
      if (other === index) served.set(key, index);
      else collisions.set(other, (collisions.get(other) ?? new Set()).add(what));
    }
  }
  for (const [other, what] of collisions) {
    const reason = `answers ${[...what].join(", ")} at the same place as routes[${other}]`;
    findings.mistake(["routes", index, "path"], reason);
  }
}

/** What a route answers, in the terms in which the route table keeps routes apart. */
function answersOf({ methods, websocket }: RouteDraft): string[] {
  const answers: string[] = (methods ?? []).filter((method) => method !== undefined);
  if (websocket !== undefined) answers.push("WebSocket handshakes");
  if (methods === undefined && websocket === undefined) answers.push("every other method");
  return answers;
}

function placeOf({ path }: RouteDraft): string | undefined {
  const parsed = path === undefined ? undefined : parsePathPattern(path);
  return parsed?.ok === true ? JSON.stringify(parsed.steps) : undefined;
}
