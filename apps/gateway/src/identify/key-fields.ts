import type { GatewayConfig, RouteConfig } from "../config/schema.ts";

/** Finds the key in a field of its own, on a route that knows such a field; empty when there are several. */
export type KeyInField = (fields: readonly string[], route: RouteConfig) => string | undefined;

export function createKeyInField({ identity }: Pick<GatewayConfig, "identity">): KeyInField {
  if (keyFieldsOf({ identity }).size === 0) return () => undefined;
  /** As many entries as there are routes, gone with them. */
  const headers = new WeakMap<RouteConfig, ReadonlySet<string>>();
  const headersOf = (route: RouteConfig): ReadonlySet<string> => {
    const known = headers.get(route);
    if (known !== undefined) return known;
    const names = route.auth === "none" ? [] : route.auth.by;
    const mine = Object.fromEntries(
      names.flatMap((name) => {
        const issuer = identity[name];
        return issuer === undefined ? [] : [[name, issuer]];
      }),
    );
    const found = keyFieldsOf({ identity: mine });
    headers.set(route, found);
    return found;
  };
  return (fields, route) => {
    const mine = headersOf(route);
    if (mine.size === 0) return undefined;
    let found: string | undefined;
    for (let at = 0; at + 1 < fields.length; at += 2)
      if (mine.has(fields[at]?.toLowerCase() ?? ""))
        found = found === undefined ? fields[at + 1] : "";
    return found;
  };
}

/** Names of the fields that may carry keys, in lower case. */
export function keyFieldsOf({ identity }: Pick<GatewayConfig, "identity">): ReadonlySet<string> {
  const issuers = Object.values(identity);
  return new Set(
    issuers.flatMap((issuer) =>
      issuer.kind === "api-keys" && issuer.header !== undefined ? [issuer.header] : [],
    ),
  );
}
