import type { z } from "zod";
import type { oidcSchema } from "./oidc-schema.ts";
import type { ProviderPreset } from "./provider-preset-names.ts";

/** What was written about a provider, other defaults filled in. */
type Written = z.output<typeof oidcSchema>;

/** What a preset decides; each key may be written to decide otherwise. */
export interface PresetValues {
  readonly otherAudiences: string[];
  readonly tokenFormat: "jwt" | "opaque" | "any" | "session-only";
  readonly tokenTypes: string[];
  readonly logoutTokenTypes: string[];
  /** Undefined: `scope`, or `scp` where there is none. */
  readonly scopeClaim: string | undefined;
  /** Undefined: `client_id`, and `azp` or `cid` in tokens that are no `at+jwt`. */
  readonly clientClaim: string | undefined;
  /** Undefined: levels are called what the provider calls them. */
  readonly acrMap: Record<string, string> | undefined;
  readonly authTimeFrom: string;
  readonly extraAuthParams: Record<string, string>;
  readonly signOutMode: "provider" | "local";
  readonly browserScopes: string[];
}

/**
 * What fits each provider. Where a provider says nothing about a sign-in, nothing is assumed: the weakest holds
 * (OWASP ASVS 6.8.4).
 */
export function presetValues(
  preset: ProviderPreset | undefined,
  { issuer, audience, introspection }: Pick<Written, "issuer" | "audience" | "introspection">,
): PresetValues {
  const asked = introspection === undefined ? "jwt" : "any";
  switch (preset) {
    case undefined:
      return { ...PLAIN, tokenFormat: asked };
    case "auth0":
      return {
        ...PLAIN,
        tokenFormat: asked,
        // The `auth0` dialect says `JWT`, the `rfc9068_profile` dialect `at+jwt`.
        tokenTypes: ["at+jwt", "JWT"],
        // With the scope `openid` a token names the user-info endpoint too.
        otherAudiences: [`${issuer.replace(/\/$/, "")}/userinfo`],
        // Stands in the ID token alone, unless an Action copies it into a claim of one's own.
        authTimeFrom: "id_token",
        // Without it the access token is encrypted, and good for nothing but user info.
        extraAuthParams: audience === undefined ? {} : { audience },
      };
    case "google":
      return {
        ...PLAIN,
        // Access tokens are opaque, there is no introspection, and they are meant for Google's own APIs.
        tokenFormat: "session-only",
        authTimeFrom: "none",
        // Else there is no refresh token.
        extraAuthParams: { access_type: "offline" },
        // It has no end_session_endpoint.
        signOutMode: "local",
        // It refuses `offline_access`; `access_type` above stands for it.
        browserScopes: ["openid", "profile", "email"],
      };
    case "keycloak":
      return {
        ...PLAIN,
        tokenFormat: asked,
        // `at+jwt` once the client's switch for RFC 9068 is on.
        tokenTypes: ["at+jwt", "JWT"],
        // Older versions say `JWT`.
        logoutTokenTypes: ["logout+jwt", "JWT"],
        // What its default role mapper adds to every token.
        otherAudiences: ["account"],
        clientClaim: "azp",
      };
    case "okta":
      return {
        ...PLAIN,
        tokenFormat: asked,
        tokenTypes: ["absent", "JWT", "at+jwt"],
        scopeClaim: "scp",
        clientClaim: "cid",
      };
    case "embedded":
      return {
        ...PLAIN,
        tokenFormat: asked,
        // RFC 8707: which API the token is for.
        extraAuthParams: audience === undefined ? {} : { resource: audience },
      };
  }
}

/** Puts what the preset decides where nothing was written. */
export function fillPreset(written: Written) {
  const { preset, audience = "" } = written;
  const defaults = presetValues(preset, written);
  return {
    ...written,
    /** Empty where callers never show a token. */
    audience,
    otherAudiences: written.otherAudiences ?? defaults.otherAudiences,
    tokenFormat: written.tokenFormat ?? defaults.tokenFormat,
    tokenTypes: written.tokenTypes ?? defaults.tokenTypes,
    logoutTokenTypes: written.logoutTokenTypes ?? defaults.logoutTokenTypes,
    scopeClaim: written.scopeClaim ?? defaults.scopeClaim,
    clientClaim: written.clientClaim ?? defaults.clientClaim,
    acrMap: written.acrMap ?? defaults.acrMap,
    authTimeFrom: written.authTimeFrom ?? defaults.authTimeFrom,
    extraAuthParams: { ...defaults.extraAuthParams, ...written.extraAuthParams },
    signOutMode: written.signOutMode ?? defaults.signOutMode,
    browser: written.browser && {
      ...written.browser,
      scopes: written.browser.scopes ?? defaults.browserScopes,
    },
  };
}

/** RFC 9068, and what OpenID Connect says everybody has. */
const PLAIN: PresetValues = {
  otherAudiences: [],
  tokenFormat: "jwt",
  tokenTypes: ["at+jwt"],
  logoutTokenTypes: ["logout+jwt"],
  scopeClaim: undefined,
  clientClaim: undefined,
  acrMap: undefined,
  authTimeFrom: "access_token",
  extraAuthParams: {},
  signOutMode: "provider",
  browserScopes: ["openid", "profile", "email", "offline_access"],
};
