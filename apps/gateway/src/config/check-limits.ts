import { checkSharedLimits } from "./check-shared-limits.ts";
import type { ConfigPath } from "./config-error.ts";
import type { Draft } from "./draft.ts";
import type { Findings } from "./findings.ts";
import { keyParts } from "./key-parts.ts";
import { limitName, type NameableLimit } from "./limit-name.ts";
import type {
  GatewayConfig,
  LimitConfig,
  RouteConfig,
  SocketLimitConfig,
  WebSocketConfig,
} from "./schema.ts";

type LimitDraft = Draft<LimitConfig>;
type SocketLimitDraft = Draft<SocketLimitConfig>;
type Entry = readonly [ConfigPath, LimitDraft | SocketLimitDraft | undefined];

/** Limits against the place they stand in, and against each other. */
export function checkLimits(config: Draft<GatewayConfig>, findings: Findings): void {
  const everywhere = entriesOf(config.limits, ["limits"]);
  checkSharedLimits(config, findings);
  for (const [path, limit] of everywhere) checkGlobal(limit, path, findings);
  checkNames([], everywhere, findings);

  for (const [index, route] of (config.routes ?? []).entries()) {
    if (route === undefined) continue;
    const path = ["routes", index];
    const own = entriesOf(route.limits, [...path, "limits"]);
    const ofMessages = entriesOf(route.websocket?.limits, [...path, "websocket", "limits"]);
    for (const [at, limit] of own) checkBodySize(limit, { route, path: at, findings });
    for (const [at, limit] of [...own, ...ofMessages]) {
      checkCaller(limit, { route, path: at, findings });
      checkRefill(limit, at, findings);
    }
    for (const [position, limit] of (route.websocket?.limits ?? []).entries()) {
      const at = [...path, "websocket", "limits", position];
      if (!limit) continue;
      checkSocketLimit(limit, { websocket: route.websocket ?? {}, path: at, findings });
      checkPenalise(limit, { config, route, path: at, findings });
    }
    checkNames(everywhere, [...own, ...ofMessages], findings);
  }
}

function entriesOf(
  limits: readonly (LimitDraft | SocketLimitDraft | undefined)[] | undefined,
  path: ConfigPath,
): Entry[] {
  return (limits ?? []).map((limit, index) => [[...path, index], limit]);
}

function checkGlobal(limit: Entry[1], path: ConfigPath, findings: Findings): void {
  checkRefill(limit, path, findings);
  for (const part of keyParts(limit?.per)) {
    if (part === "address" || part === "route") continue;
    findings.mistake(
      [...path, "per"],
      `is "${part}", but limits for every route count addresses, everybody on a route together, or what a function says`,
      ["address", "route", "a function"],
    );
  }
}

/** Names must differ, made ones too: clients and dashboards tell limits apart by nothing else. */
function checkNames(around: readonly Entry[], own: readonly Entry[], findings: Findings): void {
  const taken = new Map<string, ConfigPath>();
  for (const [path, limit] of around) {
    const name = nameOf(limit);
    if (name !== undefined) taken.set(name, path);
  }
  for (const [path, limit] of own) {
    const name = nameOf(limit);
    if (name === undefined) continue;
    const other = taken.get(name);
    if (other === undefined) taken.set(name, path);
    else {
      const isMade = limit?.name === undefined;
      const reason = isMade
        ? `is the same limit as another one that holds here; remove it, or give it a \`name\` other than "${name}"`
        : `is the name of another limit that holds here`;
      findings.mistake(isMade ? path : [...path, "name"], reason);
    }
  }
}

function nameOf(limit: Entry[1]): string | undefined {
  if (limit === undefined) return undefined;
  return limit.name ?? (isNameable(limit) ? limitName(limit) : undefined);
}

function isNameable(limit: NonNullable<Entry[1]>): limit is NonNullable<Entry[1]> & NameableLimit {
  if (limit.kind === "window") return limit.limit !== undefined && limit.seconds !== undefined;
  if (limit.kind === "quota") return limit.limit !== undefined && limit.period !== undefined;
  if (limit.kind === "concurrency") return limit.limit !== undefined;
  if (limit.kind !== "bucket" || limit.burst === undefined) return false;
  return limit.rate?.count !== undefined && limit.rate.seconds !== undefined;
}

interface RouteLimitCheck {
  readonly route: Draft<RouteConfig>;
  readonly path: ConfigPath;
  readonly findings: Findings;
}

function checkCaller(limit: Entry[1], { route, path, findings }: RouteLimitCheck): void {
  const proved = keyParts(limit?.per).find(
    (part) => part === "user" || part === "client" || part === "session",
  );
  if (route.auth !== "none" || proved === undefined) return;
  findings.warning(
    [...path, "per"],
    `is "${proved}", but with \`auth: "none"\` nobody proves who they are, so it counts by address; write "address"`,
  );
}

// A full bucket must refill within the longest span that the limit engine counts in.
const LONGEST_REFILL_SECONDS = 31_622_400;

function checkRefill(limit: Entry[1], path: ConfigPath, findings: Findings): void {
  if (limit?.kind !== "bucket") return;
  const { burst, rate } = limit;
  if (burst === undefined || rate?.count === undefined || rate.seconds === undefined) return;
  const seconds = (rate.seconds / rate.count) * burst;
  if (seconds <= LONGEST_REFILL_SECONDS) return;
  findings.mistake([...path, "burst"], "takes more than a year to refill at this rate");
}

function checkBodySize(limit: Entry[1], { route, path, findings }: RouteLimitCheck): void {
  const capacity = capacityOf(limit);
  if (limit === undefined || !("cost" in limit)) return;
  if (limit.cost !== "byte" || capacity === undefined || route.maxBodyBytes === undefined) return;
  if (capacity >= route.maxBodyBytes) return;
  findings.warning(
    path,
    `never admits a body of more than ${capacity} bytes, though the route's \`maxBodyBytes\` is ${route.maxBodyBytes}; such requests get 413`,
  );
}

interface SocketLimitCheck {
  readonly websocket: Draft<WebSocketConfig>;
  readonly path: ConfigPath;
  readonly findings: Findings;
}

function checkSocketLimit(
  limit: SocketLimitDraft,
  { websocket, path, findings }: SocketLimitCheck,
): void {
  const capacity = capacityOf(limit);
  const { maxMessageBytes, maxDelayMs } = websocket;

  if (limit.exceed === "drop" && limit.class === "control") {
    findings.mistake(
      [...path, "exceed"],
      'is "drop", but pings that get no pong and a close that is left out break the connection for both sides',
      ["delay", "close"],
    );
  }
  if (limit.exceed === "drop" && limit.cost === "byte") {
    findings.warning(
      [...path, "exceed"],
      'is "drop", but a message can be left out only at its first frame: one that goes over the limit in a later frame closes the socket',
    );
  }
  const isTooSmall =
    limit.cost === "byte" &&
    limit.class !== "control" &&
    capacity !== undefined &&
    maxMessageBytes !== undefined &&
    capacity < maxMessageBytes;
  if (isTooSmall) {
    findings.warning(
      path,
      `never admits a message of more than ${capacity} bytes, though \`maxMessageBytes\` is ${maxMessageBytes}`,
    );
  }
  const longest = longestWaitMs(limit);
  if (
    limit.exceed === "delay" &&
    longest !== undefined &&
    maxDelayMs !== undefined &&
    longest > maxDelayMs
  ) {
    findings.warning(
      [...path, "exceed"],
      `is "delay", but waiting for room can take ${Math.ceil(longest)} ms and \`maxDelayMs\` is ${maxDelayMs}: the socket is closed then`,
    );
  }
}

/** Who is boxed at once must be the one who alone used the limit up. */
function checkPenalise(
  limit: SocketLimitDraft,
  { config, route, path, findings }: RouteLimitCheck & { readonly config: Draft<GatewayConfig> },
): void {
  if (limit.exceed !== "penalise") return;
  const at = [...path, "exceed"];
  const others = ["delay", "drop", "close"];
  if (config.penalty === undefined) {
    findings.mistake(at, 'is "penalise", but there is no `penalty`; `penalty: {}` is one', others);
  }
  if (limit.strikes === false) {
    findings.mistake([...path, "strikes"], 'is false, but `exceed` is "penalise"', ["true"]);
  }
  if (limit.from === "upstream") {
    findings.mistake(
      at,
      'is "penalise", but nobody is penalised for what the service sends',
      others,
    );
  }
  const isOwn = keyParts(limit.per).some(
    (part) =>
      part === "user" ||
      part === "session" ||
      part === "connection" ||
      (part === "address" && route.auth === "none"),
  );
  if (limit.per === undefined || isOwn) return;
  findings.mistake(
    at,
    'is "penalise", but the limit may be used up by others than the one who would be penalised; count `per: "user"` or `per: "connection"`',
    others,
  );
}

/** The largest cost that can ever be admitted. */
function capacityOf(limit: Entry[1]): number | undefined {
  if (limit?.kind === "bucket") return limit.burst;
  return limit?.kind === "window" || limit?.kind === "quota" ? limit.limit : undefined;
}

/** How long the next unit can take to come free in a used-up limit. */
function longestWaitMs(limit: SocketLimitDraft): number | undefined {
  if (limit.kind === "window") return limit.seconds && limit.seconds * 1_000;
  if (limit.kind !== "bucket") return undefined;
  const rate = limit.rate;
  if (rate?.count === undefined || rate.seconds === undefined) return undefined;
  return (rate.seconds / rate.count) * 1_000;
}
