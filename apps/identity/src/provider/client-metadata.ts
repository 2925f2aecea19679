import type { ClientMetadata, Configuration } from "oidc-provider";
import type { ClientEntry } from "./client-file.ts";
import { SIGNING_ALGORITHM } from "./signing-keys.ts";

/** What holds for every client, whatever its entry says. */
export const CLIENT_DEFAULTS: Configuration["clientDefaults"] = {
  grant_types: ["authorization_code", "refresh_token"],
  id_token_signed_response_alg: SIGNING_ALGORITHM,
  response_types: ["code"],
  // The library's other modes are pages with a script that sends itself, and fragments that stay in the history.
  response_modes: ["query"],
  token_endpoint_auth_method: "client_secret_basic",
};

/** An entry of the client file in the words of OpenID Connect Dynamic Client Registration 1.0. */
export function toClientMetadata(entry: ClientEntry): ClientMetadata {
  const isPublic = entry.secret === undefined;
  const signsPeopleIn = entry.kind !== "service";
  return {
    client_id: entry.id,
    client_name: entry.name,
    application_type: entry.kind === "native" ? "native" : "web",
    ...(entry.secret !== undefined && { client_secret: entry.secret }),
    token_endpoint_auth_method: isPublic ? "none" : "client_secret_basic",
    redirect_uris: entry.redirectUris,
    post_logout_redirect_uris: entry.signOutUris,
    response_types: signsPeopleIn ? ["code"] : [],
    grant_types: [
      ...(signsPeopleIn ? ["authorization_code", "refresh_token"] : []),
      ...(entry.serviceScopes.length > 0 ? ["client_credentials"] : []),
    ],
    ...(entry.backchannelLogoutUri !== undefined && {
      backchannel_logout_uri: entry.backchannelLogoutUri,
      backchannel_logout_session_required: true,
    }),
  };
}
