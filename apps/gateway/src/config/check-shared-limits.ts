import { MOST_SHARED_SLOTS } from "@tidegate/limits";
import type { ConfigPath } from "./config-error.ts";
import type { Draft } from "./draft.ts";
import type { Findings } from "./findings.ts";
import { keyParts } from "./key-parts.ts";
import type { GatewayConfig, LimitConfig, SocketLimitConfig } from "./schema.ts";

/** Limits that are shared with other gateways: whether there is a store, and whether the limit can be shared. */
export function checkSharedLimits(config: Draft<GatewayConfig>, findings: Findings): void {
  const everywhere = entriesOf(config.limits, ["limits"]);
  const own = (config.routes ?? []).flatMap((route, index) => [
    ...entriesOf(route?.limits, ["routes", index, "limits"]),
    ...entriesOf(route?.websocket?.limits, ["routes", index, "websocket", "limits"]),
  ]);
  let isUsed = false;
  for (const [path, limit] of [...everywhere, ...own]) {
    if (limit === undefined || !("store" in limit) || limit.store !== "shared") continue;
    isUsed = true;
    if (config.limitStore === undefined) {
      const reason = 'is "shared", but there is no `limitStore` to share it in';
      findings.mistake([...path, "store"], reason, ["local"]);
    }
    checkOne(limit, path, findings);
  }
  if (config.limitStore === undefined || isUsed) return;
  findings.warning(["limitStore"], 'is not used: no limit says `store: "shared"`');
}

function checkOne(
  limit: Draft<LimitConfig | SocketLimitConfig>,
  path: ConfigPath,
  findings: Findings,
): void {
  if (keyParts(limit.per).includes("connection")) {
    const reason = 'is "connection", but a connection is one gateway\'s own; nothing is to share';
    findings.mistake([...path, "per"], reason, ["user", "address", "route"]);
  }
  if ("cost" in limit && limit.cost === "byte") {
    // A body's chunks are charged as they pass, at once; a socket holds a frame until the store has answered.
    if (!("exceed" in limit)) {
      const reason =
        'is "byte", but a body is charged while it streams, which a shared limit cannot decide at once; only messages of sockets can share bytes';
      findings.mistake([...path, "cost"], reason, ["request"]);
    }
  }
  if (limit.shadow === true) {
    const reason =
      "is true, but what a shared limit would have refused is known only to the store, which is not asked about calls that pass anyway";
    findings.mistake([...path, "shadow"], reason, ["false"]);
  }
  const divides = limit.whenStoreLost === "share" || limit.whenStoreLost === "local";
  if (limit.kind === "concurrency" && (limit.limit ?? 0) > MOST_SHARED_SLOTS) {
    const reason = `is ${limit.limit}, but at most ${MOST_SHARED_SLOTS} open at once can be shared: the store looks at each of them for every call`;
    findings.mistake([...path, "limit"], reason, [String(MOST_SHARED_SLOTS)]);
  }
  if ((limit.kind !== "quota" && limit.kind !== "concurrency") || !divides) return;
  const reason = `is "${limit.whenStoreLost}", but a ${limit.kind} limit is not divided among gateways`;
  findings.mistake([...path, "whenStoreLost"], reason, ["deny", "open"]);
}

type AnyLimit = LimitConfig | SocketLimitConfig;
type Entry = readonly [ConfigPath, Draft<AnyLimit> | undefined];

function entriesOf(
  limits: readonly (Draft<AnyLimit> | undefined)[] | undefined,
  path: ConfigPath,
): Entry[] {
  return (limits ?? []).map((limit, index) => [[...path, index], limit]);
}
