import type { KoaContextWithOIDC } from "oidc-provider";

/**
 * What an access token says about the sign-in behind it (RFC 9068 §2.2.1, RFC 9470 §6.1). Taken from the code or the refresh
 * token, so that a refresh changes none of it: fresh tokens are no fresh sign-in.
 */
export function accessTokenClaims(
  ctx: KoaContextWithOIDC | undefined,
): Record<string, unknown> | undefined {
  const source = ctx?.oidc.entities.RefreshToken ?? ctx?.oidc.entities.AuthorizationCode;
  // Client credentials: nobody signed in, and the token does not pretend that somebody did.
  if (source === undefined) return undefined;
  const { acr, amr, authTime, sid } = source as {
    readonly acr?: string;
    readonly amr?: readonly string[];
    readonly authTime?: number;
    readonly sid?: string;
  };
  return {
    ...(acr !== undefined && { acr }),
    ...(amr !== undefined && { amr }),
    ...(authTime !== undefined && { auth_time: authTime }),
    ...(sid !== undefined && { sid }),
  };
}
