import type { GatewayConfigInput } from "./schema.ts";

type Issuer = NonNullable<GatewayConfigInput["identity"]>[string];
export type OidcIssuer = Extract<Issuer, { kind: "oidc" }>;
/** What may be said beside what a preset's function asks for. */
type Further = Omit<OidcIssuer, "kind" | "preset" | "issuer">;
/** For providers whose access tokens callers show. */
type WithAudience = Further & { readonly audience: string };

/**
 * Auth0. `docs/providers/auth0.md` has what to set there.
 * @param options.domain the tenant's, such as `shop.eu.auth0.com`, or a custom domain
 * @param options.audience the API's identifier
 */
export function auth0({
  domain,
  ...further
}: WithAudience & { readonly domain: string }): OidcIssuer {
  return { kind: "oidc", preset: "auth0", issuer: `https://${domain}/`, ...further };
}

/** Google, for signing in in the browser; its access tokens are for its own APIs. `docs/providers/google.md`. */
export function google(further: Omit<Further, "audience"> = {}): OidcIssuer {
  return { kind: "oidc", preset: "google", issuer: "https://accounts.google.com", ...further };
}

/**
 * A realm of Keycloak. `docs/providers/keycloak.md` has what to set there.
 * @param options.url its public address, with its path if it has one
 */
export function keycloak({
  url,
  realm,
  ...further
}: WithAudience & { readonly url: string; readonly realm: string }): OidcIssuer {
  const issuer = `${url.replace(/\/$/, "")}/realms/${encodeURIComponent(realm)}`;
  return { kind: "oidc", preset: "keycloak", issuer, ...further };
}

/**
 * A custom authorization server of Okta. `docs/providers/okta.md` has what to set there.
 * @param options.authorizationServer its id; default: `default`
 */
export function okta({
  domain,
  authorizationServer = "default",
  audience = "api://default",
  ...further
}: Further & { readonly domain: string; readonly authorizationServer?: string }): OidcIssuer {
  const issuer = `https://${domain}/oauth2/${encodeURIComponent(authorizationServer)}`;
  return { kind: "oidc", preset: "okta", issuer, audience, ...further };
}

/** Tidegate's own provider. @param options.url where it is; default: `http://localhost:8081` */
export function embedded({
  url = "http://localhost:8081",
  ...further
}: WithAudience & { readonly url?: string }): OidcIssuer {
  return { kind: "oidc", preset: "embedded", issuer: url, ...further };
}
