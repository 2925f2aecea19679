import type { Clock } from "@tidegate/clock";
import { toPolicyField, toRateLimitPolicy, type LimitDefinition } from "@tidegate/limits";
import type { SharedLimit } from "@tidegate/limits/redis";
import type {
  GatewayConfig,
  LimitConfig,
  RouteConfig,
  SocketLimitConfig,
  UpstreamConfig,
} from "../config/schema.ts";
import { formatPath, type ConfigPath } from "../config/config-error.ts";
import { toChallenges } from "../identify/challenges.ts";
import type { CallLimiter } from "../judge/call-limiter.ts";
import { isKnownEarly, type LimitKey } from "../judge/limit-key.ts";
import { SlotHolders } from "../judge/slot-holders.ts";
import { LimitPolicy, type LimitUse } from "../judge/limit-policy.ts";
import type { Policy } from "../judge/policy.ts";
import type { Route, SocketRules } from "./route.ts";

/** What message classes of the opcode classification are called, by `Call.classIndex`. */
export const OPCODE_CLASSES = ["text", "binary", "control"] as const;

/**
 * Turns configuration into routes with their policies, and one limiter that holds every limit of all routes.
 * Nothing begins to run here, so nothing must be undone. The limiter is undefined when there is no limit at all.
 */
export function compileRoutes(
  config: GatewayConfig,
  {
    metrics,
    clock,
    createLimiter,
  }: {
    metrics: LimitCounters;
    clock: Clock;
    /** Gets `limitDefinitionsOf(config)`. */
    createLimiter: (definitions: readonly LimitDefinition[]) => CallLimiter;
  },
): { readonly routes: readonly Route[]; readonly limiter: CallLimiter | undefined } {
  const { definitions, drafts } = assignLimits(config);
  const limiter = definitions.length === 0 ? undefined : createLimiter(definitions);
  const engine =
    limiter === undefined ? undefined : { limiter, holders: new SlotHolders(limiter, clock) };
  const routes = drafts.map((draft, index) =>
    compileRoute({ ...draft, index, config, engine, metrics }),
  );
  return { routes, limiter };
}

/** Every limit of a configuration in the order in which compiled routes number them; the same on every thread. */
export function limitDefinitionsOf(config: GatewayConfig): readonly LimitDefinition[] {
  return assignLimits(config).definitions;
}

/** Which of `limitDefinitionsOf` are shared with other gateways, by position, and what holds while that cannot be. */
export function sharedLimitsOf(config: GatewayConfig): ReadonlyMap<number, SharedLimit> {
  const { definitions, limits } = assignLimits(config);
  const places = limitPlacesOf(config);
  const shared = new Map<number, SharedLimit>();
  for (const [index, limit] of limits.entries()) {
    if (!("store" in limit) || limit.store !== "shared") continue;
    const definition = definitions[index] as LimitDefinition;
    const { whenStoreLost } = limit;
    // A made name may stand on several routes; each of them is a limit of its own.
    shared.set(index, { definition, whenStoreLost, id: `${places[index]} ${limit.name}` });
  }
  return shared;
}

/** Where each of `limitDefinitionsOf` holds: a route's id, or `everywhere`. */
export function limitPlacesOf(config: GatewayConfig): readonly string[] {
  const { global, drafts } = assignLimits(config);
  const own = drafts.flatMap(({ route }) => {
    const count = route.limits.length + (route.websocket?.limits.length ?? 0);
    return Array.from({ length: count }, () => routeId(route));
  });
  return [...global.map(() => "everywhere"), ...own];
}

function assignLimits(config: GatewayConfig) {
  const limits: (LimitConfig | SocketLimitConfig)[] = [];
  const define = <Limit extends LimitConfig | SocketLimitConfig>(
    among: readonly Limit[],
    path: ConfigPath,
  ): Defined<Limit>[] =>
    among.map((limit, at) => ({ limit, limitIndex: limits.push(limit) - 1, path: [...path, at] }));
  const global = define(config.limits, ["limits"]);
  const drafts = config.routes.map((route, at) => ({
    route,
    limits: [...global, ...define(route.limits, ["routes", at, "limits"])],
    socketLimits: define(route.websocket?.limits ?? [], ["routes", at, "websocket", "limits"]),
  }));
  return { limits, definitions: limits.map(toDefinition), global, drafts };
}

/** Where refusals of a route's limits are counted, in the order of `names`. */
export interface LimitCounters {
  limitCounters(routeId: string, names: readonly string[]): Float64Array;
}

/** What every limit policy of a worker shares. */
interface LimitEngine {
  readonly limiter: CallLimiter;
  readonly holders: SlotHolders;
}

interface Defined<Limit> {
  readonly limit: Limit;
  readonly limitIndex: number;
  /** Where it stands in the configuration. */
  readonly path: ConfigPath;
}

function compileRoute({
  route,
  limits,
  socketLimits,
  index,
  config,
  engine,
  metrics,
}: {
  route: RouteConfig;
  limits: readonly Defined<LimitConfig>[];
  socketLimits: readonly Defined<SocketLimitConfig>[];
  index: number;
  config: GatewayConfig;
  engine: LimitEngine | undefined;
  metrics: LimitCounters;
}): Route {
  const id = routeId(route);
  let slotCount = 0;
  const use = ({
    limit,
    limitIndex,
    path,
  }: Defined<LimitConfig | SocketLimitConfig>): LimitUse => ({
    limitIndex,
    name: limit.name,
    announced: toRateLimitPolicy(
      toDefinition(limit),
      limit.kind === "concurrency"
        ? "concurrent-requests"
        : limit.cost === "byte"
          ? "content-bytes"
          : undefined,
    ),
    key: toLimitKey(limit.per, { path, routeId: id }),
    cost: limit.kind === "concurrency" ? "slot" : limit.cost === "byte" ? "byte" : "call",
    slot: slotCount++,
    exceed: "exceed" in limit ? limit.exceed : "close",
    strikes: limit.strikes,
  });
  const uses = limits.map(use);
  const early = uses.filter(({ key }) => isKnownEarly(key));
  const late = uses.filter(({ key }) => !isKnownEarly(key));
  const limitPolicy = (stage: "address" | "principal", set: readonly LimitUse[]): LimitPolicy[] => {
    if (set.length === 0 || engine === undefined) return [];
    const refusals = metrics.limitCounters(
      id,
      set.map(({ name }) => name),
    );
    const isRefundable = stage === "principal";
    return [new LimitPolicy({ stage, uses: set, ...engine, isRefundable, refusals })];
  };
  const address = limitPolicy("address", early);
  const principal = limitPolicy("principal", late);
  const limitPolicies = [...address, ...principal];
  const websocket =
    route.websocket === undefined
      ? undefined
      : compileSocketRules({
          id,
          config: route.websocket,
          limits: socketLimits,
          use,
          engine,
          metrics,
        });
  return Object.freeze({
    id,
    index,
    config: route,
    upstream: route.to,
    upstreamConfig: config.upstreams[route.to] as UpstreamConfig,
    audience: Object.freeze({ upstream: route.to, claims: route.claims }),
    policies: {
      address,
      identity: [],
      principal,
      body: [],
      capacity: [],
    },
    challenges: toChallenges(route, config),
    limitPolicies,
    limitPolicyField: toPolicyField(
      limitPolicies.flatMap(({ uses: own }) => own.map(({ announced }) => announced)),
    ),
    chargesBytes: limits.some(({ limit }) => limit.kind !== "concurrency" && limit.cost === "byte"),
    slotCount,
    websocket,
  });
}

function toLimitKey(
  per: LimitConfig["per"],
  { path, routeId: id }: { path: ConfigPath; routeId: string },
): LimitKey {
  // A route's own limit is the route's alone.
  const route = path.length === 2 ? id : "";
  if (typeof per === "function")
    return { parts: [], own: { place: formatPath([...path, "per"]), call: per }, route };
  return { parts: typeof per === "string" ? [per] : per, own: undefined, route };
}

function compileSocketRules({
  id,
  config,
  limits,
  use,
  engine,
  metrics,
}: {
  id: string;
  config: NonNullable<RouteConfig["websocket"]>;
  limits: readonly Defined<SocketLimitConfig>[];
  use: (limit: Defined<SocketLimitConfig>) => LimitUse;
  engine: LimitEngine | undefined;
  metrics: LimitCounters;
}): SocketRules {
  // A limit that covers two classes is one budget: both use the same handle.
  const used = limits.map((defined) => ({ limit: defined.limit, use: use(defined) }));
  const policiesFrom = (sender: SocketLimitConfig["from"]): Policy[][] =>
    OPCODE_CLASSES.map((className) => {
      const uses = used
        .filter(({ limit }) => limit.from === sender && covers(limit.class, className))
        .map((entry) => entry.use);
      if (uses.length === 0 || engine === undefined) return [];
      // Nothing judges a message after its limits yet, so nothing is booked that could come back.
      const refusals = metrics.limitCounters(
        id,
        uses.map(({ name }) => name),
      );
      return [
        new LimitPolicy({ stage: "principal", uses, ...engine, isRefundable: false, refusals }),
      ];
    });
  return {
    config,
    classes: OPCODE_CLASSES,
    policies: [policiesFrom("client"), policiesFrom("upstream")],
  };
}

function covers(
  limited: SocketLimitConfig["class"],
  className: (typeof OPCODE_CLASSES)[number],
): boolean {
  return limited === className || (limited === "message" && className !== "control");
}

function toDefinition(limit: LimitConfig | SocketLimitConfig): LimitDefinition {
  const { name, shadow } = limit;
  switch (limit.kind) {
    case "bucket": {
      const { count, seconds } = limit.rate;
      return { kind: "bucket", name, shadow, count, seconds, burst: limit.burst };
    }
    case "window":
      return { kind: "window", name, shadow, limit: limit.limit, seconds: limit.seconds };
    case "quota": {
      const { period, timeZone } = limit;
      return { kind: "quota", name, shadow, limit: limit.limit, period, timeZone };
    }
    case "concurrency":
      return { kind: "concurrency", name, shadow, limit: limit.limit };
  }
}

function routeId({ path, methods, websocket, hosts }: RouteConfig): string {
  const verbs = methods?.join(",") ?? (websocket === undefined ? "*" : "");
  const socket = websocket === undefined ? "" : verbs === "" ? "WS" : ",WS";
  const host = hosts === undefined ? "" : hosts.join(",");
  return `${verbs}${socket} ${host}${path}`;
}
