import type { Clock, Random } from "@tidegate/clock";
import { createKeyedLimiter } from "@tidegate/limits";
import { errors, Provider } from "./library.ts";
import type { KoaContextWithOIDC } from "oidc-provider";

/** How many token requests a client may make. */
export interface ClientRate {
  /**
   * Spends one of the client whose token request is under way; outside of one, nothing. Asked once the client has shown who it
   * is and before anything is redeemed: nobody spends in another's name, and a code or token that was refused stays good.
   * @throws {OIDCProviderError} 429 `temporarily_unavailable`, with `Retry-After`
   */
  spend(ctx?: KoaContextWithOIDC): void;
}

export interface ClientRateLimit {
  readonly perSecond: number;
  readonly burst: number;
}

/** A gateway with ten thousand people refreshes 35 times a second; after a restart all of them at once. */
export const CLIENT_RATE: ClientRateLimit = { perSecond: 200, burst: 12_000 };

/** As many as a client file can sensibly have. Beyond, the ones seen longest ago begin anew. */
const MAX_CLIENTS = 1_000;

export function createClientRate(options: {
  readonly limit: ClientRateLimit;
  readonly clock: Clock;
  readonly random: Random;
}): ClientRate {
  const { limit, clock, random } = options;
  const tokens = createKeyedLimiter({
    definitions: [
      {
        kind: "bucket",
        name: "token-requests",
        count: limit.perSecond,
        seconds: 1,
        burst: limit.burst,
        maxKeys: MAX_CLIENTS,
      },
    ],
    clock,
    random,
  });
  const asked = new WeakSet<object>();
  return {
    spend(ctx = Provider.ctx) {
      const client = ctx?.oidc.route === "token" ? ctx.oidc.client : undefined;
      if (ctx === undefined || client === undefined || asked.has(ctx)) return;
      asked.add(ctx);
      const decision = tokens.take(client.clientId);
      if (decision.isAdmitted) return;
      ctx.set("retry-after", String(Math.max(1, Math.ceil(decision.retryAfterMs / 1_000))));
      const refusal = new errors.CustomOIDCProviderError(
        "temporarily_unavailable",
        "this client asks too often",
      );
      refusal.statusCode = 429;
      refusal.status = 429;
      throw refusal;
    },
  };
}
