import type { RouteConfig } from "../config/schema.ts";

/**
 * Picks those of `verifiers`, by their name under `identity`, that may vouch on a route; in the route's order.
 * Remembered per route: as many entries as there are routes, gone with them.
 */
export function verifiersOfRoute<Verifier>(
  verifiers: ReadonlyMap<string, Verifier>,
): (config: RouteConfig) => readonly Verifier[] {
  const picked = new WeakMap<RouteConfig, readonly Verifier[]>();
  return (config) => {
    const known = picked.get(config);
    if (known !== undefined) return known;
    const names = config.auth === "none" ? [] : config.auth.by;
    const mine = names.flatMap((name) => verifiers.get(name) ?? []);
    picked.set(config, mine);
    return mine;
  };
}
