import type { GatewayConfig, RouteConfig } from "../config/schema.ts";

/** What a route can ask callers to show; compiled once per route. */
export interface Challenges {
  /** Realm of the Bearer challenge; undefined where no issuer of tokens vouches. */
  readonly bearerRealm: string | undefined;
  /** Realm of the Basic challenge; undefined where nobody vouches by passwords. */
  readonly basicRealm: string | undefined;
  /** What proofs of possession may be signed with (RFC 9449 §7.1); undefined where no issuer of tokens vouches. */
  readonly dpopAlgorithms: string | undefined;
  /** Whether tokens that are not bound to a key are of no use to anybody here. */
  readonly requiresProof: boolean;
}

/** Issuers of tokens and keys make a route ask for Bearer, whoever checks passwords for Basic. */
export function toChallenges(
  { auth }: Pick<RouteConfig, "auth">,
  { identity }: Pick<GatewayConfig, "identity">,
): Challenges {
  let isBearerAsked = false;
  let isPlainTokenGood = false;
  let basicRealm: string | undefined;
  const algorithms = new Set<string>();
  for (const name of auth === "none" ? [] : auth.by) {
    const issuer = identity[name];
    switch (issuer?.kind) {
      case "oidc":
        basicRealm ??= issuer.basic?.realm;
        if (issuer.tokenFormat === "session-only") break;
        isBearerAsked = true;
        if (!issuer.dpop.required) isPlainTokenGood = true;
        for (const algorithm of issuer.dpop.algorithms) algorithms.add(algorithm);
        break;
      case "api-keys":
        isBearerAsked = true;
        isPlainTokenGood = true;
        break;
      case "users-file":
        basicRealm ??= issuer.realm;
        break;
      case undefined:
        break;
    }
  }
  return {
    bearerRealm: isBearerAsked ? DEFAULT_REALM : undefined,
    basicRealm,
    dpopAlgorithms: algorithms.size === 0 ? undefined : [...algorithms].join(" "),
    requiresProof: isBearerAsked && !isPlainTokenGood,
  };
}

export const DEFAULT_REALM = "tidegate";
