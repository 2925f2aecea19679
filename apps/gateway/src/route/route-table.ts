import { parsePathPattern, type PatternStep } from "./path-pattern.ts";
import type { Route } from "./route.ts";

/** All routes that share one pattern under one host: what a path leads to, before the method is asked. */
export interface Place {
  readonly byMethod: ReadonlyMap<string, Route>;
  /** Serves the methods that no other route here names. */
  readonly anyMethod: Route | undefined;
  /** Takes WebSocket handshakes. */
  readonly socket: Route | undefined;
  /** The methods served here, as the Allow field lists them (RFC 9110 §10.2.1). */
  readonly allow: string;
}

/**
 * Finds the place a path leads to. The most specific pattern wins, segment by segment from the left: literal
 * before `*` before `**`; a host's own routes before those for every host. The method is asked afterwards, so
 * that a stricter rule at a deeper path is never stepped around by a method it does not name.
 */
export interface RouteTable {
  readonly routes: readonly Route[];
  find(host: string, path: string): Place | undefined;
}

interface Node {
  readonly literals: Map<string, Node>;
  one: Node | undefined;
  rest: PlaceBuilder | undefined;
  here: PlaceBuilder | undefined;
}

/** @param routes with valid patterns and without collisions; the configuration's check has seen to both */
export function createRouteTable(routes: readonly Route[]): RouteTable {
  const everyHost = createNode();
  const byHost = new Map<string, Node>();
  for (const route of routes) {
    const pattern = parsePathPattern(route.config.path);
    if (!pattern.ok) throw new Error(`Cannot compile ${route.config.path}: ${pattern.reason}`);
    const hosts = route.config.hosts?.map((host) => host.toLowerCase());
    const roots = hosts?.map((host) => getOrCreate(byHost, host)) ?? [everyHost];
    for (const root of roots) insert(root, pattern.steps).add(route);
  }
  return {
    routes,
    find(host, path) {
      const own = byHost.size === 0 ? undefined : byHost.get(host);
      const place = own === undefined ? undefined : walk(own, path, 1);
      return place ?? walk(everyHost, path, 1);
    },
  };
}

/** The route that serves `method` at a place; HEAD comes with GET. */
export function routeForMethod(place: Place, method: string): Route | undefined {
  const own = place.byMethod.get(method);
  if (own !== undefined) return own;
  return (method === "HEAD" ? place.byMethod.get("GET") : undefined) ?? place.anyMethod;
}

class PlaceBuilder implements Place {
  readonly byMethod = new Map<string, Route>();
  anyMethod: Route | undefined;
  socket: Route | undefined;
  allow = "";

  add(route: Route): void {
    const { methods, websocket } = route.config;
    if (websocket !== undefined) this.socket = route;
    if (methods !== undefined) for (const method of methods) this.byMethod.set(method, route);
    else if (websocket === undefined) this.anyMethod = route;
    const allowed = new Set(this.byMethod.keys());
    if (allowed.has("GET")) allowed.add("HEAD");
    this.allow = [...allowed].sort().join(", ");
  }
}

function createNode(): Node {
  return { literals: new Map(), one: undefined, rest: undefined, here: undefined };
}

function getOrCreate(nodes: Map<string, Node>, key: string): Node {
  const known = nodes.get(key);
  if (known !== undefined) return known;
  const created = createNode();
  nodes.set(key, created);
  return created;
}

function insert(root: Node, steps: readonly PatternStep[]): PlaceBuilder {
  let node = root;
  for (const step of steps) {
    if (step.kind === "rest") return (node.rest ??= new PlaceBuilder());
    if (step.kind === "one") node = node.one ??= createNode();
    else node = getOrCreate(node.literals, step.text);
  }
  return (node.here ??= new PlaceBuilder());
}

// `start` is the index behind the slash that ends the walked part; path.length + 1 when nothing is left.
// The depth is bounded by the deepest pattern, and each node branches at most twice.
function walk(node: Node, path: string, start: number): Place | undefined {
  if (start > path.length) return node.here ?? node.rest;
  const slash = path.indexOf("/", start);
  const end = slash < 0 ? path.length : slash;
  const segment = path.slice(start, end);
  const literal = node.literals.get(segment);
  if (literal !== undefined) {
    const place = walk(literal, path, end + 1);
    if (place !== undefined) return place;
  }
  if (node.one !== undefined && end > start) {
    const place = walk(node.one, path, end + 1);
    if (place !== undefined) return place;
  }
  return node.rest;
}
