import type { GatewayConfig, RouteConfig } from "../config/schema.ts";

/** What a route can ask callers to show; compiled once per route. */
export interface Challenges {
  /** Realm of the Bearer challenge; undefined where no issuer of tokens vouches. */
  readonly bearerRealm: string | undefined;
  /** Realm of the Basic challenge; undefined where no users file vouches. */
  readonly basicRealm: string | undefined;
}

/** An OpenID provider makes a route ask for Bearer, a users file for Basic. */
export function toChallenges(
  { auth }: Pick<RouteConfig, "auth">,
  { identity }: Pick<GatewayConfig, "identity">,
): Challenges {
  let bearerRealm: string | undefined;
  let basicRealm: string | undefined;
  for (const name of auth === "none" ? [] : auth.by) {
    const issuer = identity[name];
    if (issuer?.kind === "oidc") bearerRealm ??= DEFAULT_REALM;
    if (issuer?.kind === "users-file") basicRealm ??= issuer.realm;
  }
  return { bearerRealm, basicRealm };
}

export const DEFAULT_REALM = "tidegate";
