import { createAccessTokenVerifier, type AccessTokenVerifier, type Fetch } from "@tidegate/auth";
import type { Clock, Random } from "@tidegate/clock";
import type { ProviderConfig } from "../config/schema.ts";
import { issuerFailed, issuerKeysLoaded } from "../record/events.ts";
import type { Log } from "../record/logger.ts";

/** A verifier of one provider's tokens that tells the log how its keys are. Loads nothing before it is started. */
export function openIssuer(
  name: string,
  issuer: ProviderConfig,
  {
    clock,
    random,
    log,
    fetch,
  }: {
    readonly clock: Clock;
    readonly random: Random;
    readonly log: Log;
    readonly fetch?: Fetch | undefined;
  },
): AccessTokenVerifier {
  let keyCount = -1;
  const verifier = createAccessTokenVerifier({
    ...issuer,
    authTimeClaim: authTimeClaimOf(issuer),
    clock,
    random,
    ...(fetch === undefined ? {} : { fetch }),
    onKeyLoad({ error, keyCount: loaded }) {
      if (error instanceof Error) {
        issuerFailed(log, { issuer: name, error, servesOldKeys: verifier.isReady });
      } else if (loaded !== keyCount) {
        keyCount = loaded;
        issuerKeysLoaded(log, { issuer: name, keys: loaded });
      }
    },
  });
  return verifier;
}

/** Where a token itself says when its person signed in; empty where only an ID token or nothing does. */
export function authTimeClaimOf({ authTimeFrom }: Pick<ProviderConfig, "authTimeFrom">): string {
  if (authTimeFrom === "access_token") return "auth_time";
  return authTimeFrom.startsWith("custom:") ? authTimeFrom.slice("custom:".length) : "";
}
