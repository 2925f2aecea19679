import type { EventEmitter } from "node:events";
import type Provider from "oidc-provider";
import type { KoaContextWithOIDC } from "oidc-provider";
import type { IdentityEvents } from "../events.ts";
import type { ArtifactStore } from "./artifact-store.ts";
import { LIFETIMES, slidingLifetime } from "./lifetimes.ts";
import type { SessionStore } from "./session-store.ts";

/** Turns what the library tells into the audit trail, and answers what only it notices. */
export function observe(
  provider: Provider,
  options: { readonly events: IdentityEvents; readonly sessions: SessionStore },
): void {
  const { events, sessions } = options;
  provider.on("grant.success", (ctx) => {
    events.tokenIssued({
      personId: ctx.oidc.account?.accountId,
      clientId: ctx.oidc.client?.clientId ?? "",
      grant: String(ctx.oidc.params?.["grant_type"]),
    });
  });
  const refused = (endpoint: string) => (ctx: KoaContextWithOIDC, error: Error) => {
    const clientId = ctx.oidc.client?.clientId;
    events.clientRefused({ endpoint, clientId, error: error.message });
  };
  provider.on("grant.error", refused("token"));
  provider.on("introspection.error", refused("introspection"));
  provider.on("revocation.error", refused("revocation"));
  provider.on("pushed_authorization_request.error", refused("request"));
  // Koa prints what nobody listens to, with its stack: a connection that broke in the middle of a body would do it each time.
  (provider as EventEmitter).on("error", (error: Error & { readonly code?: string }) => {
    const isBroken = error.code?.startsWith("HPE_") === true || error.code === "ECONNRESET";
    if (!isBroken) events.failed({ what: "request", error });
  });
  provider.on("server_error", (_ctx, error) => events.failed({ what: "request", error }));
  provider.on("grant.revoked", (ctx) => {
    const token = ctx.oidc.entities.RefreshToken;
    if (ctx.oidc.route !== "token" || token?.accountId === undefined) return;
    if (ctx.oidc.params?.["grant_type"] !== "refresh_token") return;
    const facts = { personId: token.accountId, clientId: token.clientId ?? "" };
    events.refreshTokenReused(facts);
    // The library has revoked the family. Access tokens that came from it still verify; the client ends what they opened.
    sessions
      .tellClient({ ...facts, sid: token.sid ?? "" })
      .catch((error: unknown) => events.failed({ what: "telling of a reused token", error }));
  });
}

/** A refresh is a use of the session behind it: it lives on, up to its absolute end. */
export async function noteRefresh(
  ctx: KoaContextWithOIDC,
  options: {
    readonly artifacts: ArtifactStore;
    readonly sessions: SessionStore;
    readonly nowSeconds: () => number;
  },
): Promise<void> {
  const token = ctx.oidc.entities.RotatedRefreshToken;
  if (ctx.status !== 200 || token?.sessionUid === undefined) return;
  const nowSeconds = options.nowSeconds();
  const lifetime = slidingLifetime({
    nowSeconds,
    startedAtSeconds: token.authTime ?? nowSeconds,
    idleSeconds: LIFETIMES.sessionIdle,
    absoluteSeconds: LIFETIMES.sessionAbsolute,
  });
  await options.artifacts.extendSession(token.sessionUid, nowSeconds + lifetime);
  await options.sessions.touch(token.sessionUid);
}
