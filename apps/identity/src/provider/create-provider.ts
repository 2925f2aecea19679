import type { Configuration, KoaContextWithOIDC } from "oidc-provider";
import { Provider } from "./library.ts";
import { accessTokenClaims } from "./access-token-claims.ts";
import { CLAIMS, findAccount, type AccountPerson } from "./accounts.ts";
import { createArtifactAdapter } from "./artifact-adapter.ts";
import type { ArtifactStore } from "./artifact-store.ts";
import type { ClientEntry, ClientFile } from "./client-file.ts";
import type { ClientRate } from "./client-rate.ts";
import { CLIENT_DEFAULTS, toClientMetadata } from "./client-metadata.ts";
import { loadGrant, type ConsentStore } from "./consents.ts";
import { createGuardedFetch } from "./guarded-fetch.ts";
import { createInteractionPolicy } from "./interaction-policy.ts";
import type { Level } from "./levels.ts";
import { changeLibrary } from "./library-changes.ts";
import { LIFETIMES, slidingLifetime } from "./lifetimes.ts";
import type { ProviderPages } from "./provider-pages.ts";
import { createResourceIndicators } from "./resources.ts";
import { SIGNING_ALGORITHM, type SigningKeys } from "./signing-keys.ts";

export interface ProviderParts {
  readonly issuer: string;
  readonly file: ClientFile;
  readonly keys: SigningKeys;
  readonly cookieKeys: readonly string[];
  readonly successorSecret: Buffer;
  readonly levels: readonly Level[];
  readonly artifacts: ArtifactStore;
  readonly consents: ConsentStore;
  readonly pages: ProviderPages;
  readonly findPerson: (personId: string) => Promise<AccountPerson | undefined>;
  /** A session was saved: it was used, at the browser whose request is under way. */
  readonly sessionSaved: (session: {
    readonly uid: string;
    readonly personId: string;
  }) => Promise<void>;
  readonly clientRate: ClientRate;
  readonly nowSeconds: () => number;
  readonly fetch: typeof fetch;
}

/** Where the protocol's endpoints are. Clients learn them from discovery. */
export const ROUTES = {
  authorization: "/authorize",
  token: "/token",
  userinfo: "/userinfo",
  jwks: "/jwks",
  introspection: "/introspect",
  revocation: "/revoke",
  pushed_authorization_request: "/request",
  end_session: "/sign-out",
} as const;

export const COOKIE_NAMES = {
  session: "__Host-identity-session",
  // Bound to the path of one sign-in, so that two tabs do not disturb each other; `__Host-` would want the path `/`.
  interaction: "__Secure-identity-flow",
  resume: "__Secure-identity-resume",
} as const;

const COOKIE = { httpOnly: true, sameSite: "lax", secure: true, signed: true } as const;
const ASYMMETRIC = ["ES256", "EdDSA", "Ed25519", "PS256", "RS256"] as const;

/** The library with everything about it that is decided here. Cheap to make anew when keys change; keeps nothing itself. */
export function createProvider(parts: ProviderParts): Provider {
  const { artifacts, nowSeconds } = parts;
  const provider: Provider = new Provider(parts.issuer, {
    ...protocolOf(parts),
    adapter: (kind) =>
      createArtifactAdapter(artifacts, kind, {
        sessionSaved: parts.sessionSaved,
        redeeming: () => parts.clientRate.spend(),
      }),
    clients: parts.file.clients.map(toClientMetadata),
    clientDefaults: CLIENT_DEFAULTS,
    cookies: {
      names: COOKIE_NAMES,
      long: { ...COOKIE, path: "/" },
      short: COOKIE,
      keys: [...parts.cookieKeys],
    },
    features: featuresOf(parts),
    fetch: createGuardedFetch({
      logoutUris: new Set(parts.file.clients.flatMap((one) => one.backchannelLogoutUri ?? [])),
      fetch: parts.fetch,
    }),
    findAccount: (_ctx, personId) => findAccount(parts.findPerson, personId),
    interactions: {
      policy: createInteractionPolicy({ levels: parts.levels, nowSeconds }),
      url: (_ctx, { uid, prompt }) =>
        prompt.name === "consent" ? `/consent/${uid}` : `/sign-in/${uid}`,
    },
    jwks: parts.keys.jwks as unknown as NonNullable<Configuration["jwks"]>,
    loadExistingGrant: (ctx) => loadGrant(ctx, { entry: entryOf(parts, ctx), ...parts }),
    renderError: (ctx, out, error) => parts.pages.error(ctx, out, error),
  });
  // Host, scheme and address are written by us in `provider-mount.ts`, whatever the client claimed.
  provider.proxy = true;
  changeLibrary(provider, parts);
  return provider;
}

/** What the protocol allows here. */
function protocolOf(parts: ProviderParts): Configuration {
  return {
    acrValues: parts.levels.map(({ acr }) => acr),
    allowOmittingSingleRegisteredRedirectUri: false,
    acceptQueryParamAccessTokens: false,
    claims: CLAIMS,
    clientAuthMethods: ["client_secret_basic", "client_secret_post", "none"],
    clientBasedCORS: (ctx, origin) => isOwnOrigin(entryOf(parts, ctx), origin),
    clockTolerance: 5,
    conformIdTokenClaims: false,
    enableHttpPostMethods: false,
    enabledJWA: {
      idTokenSigningAlgValues: [SIGNING_ALGORITHM],
      userinfoSigningAlgValues: [SIGNING_ALGORITHM],
      dPoPSigningAlgValues: [...ASYMMETRIC],
    },
    expiresWithSession: (_ctx, source) => !source.scopes.has("offline_access"),
    extraTokenClaims(ctx) {
      // Where nothing is redeemed (client credentials) this comes first.
      parts.clientRate.spend(ctx);
      return accessTokenClaims(ctx);
    },
    // RFC 6749 §10.10 asks for 128 bits; as long as our other secrets.
    formats: { bitsOfOpaqueRandomness: 256 },
    issueRefreshToken: (_ctx, client) => client.grantTypeAllowed("refresh_token"),
    pkce: { required: () => true },
    responseTypes: ["code"],
    rotateRefreshToken: () => true,
    routes: ROUTES,
    scopes: ["openid", "offline_access", "profile", "email"],
    subjectTypes: ["public"],
    ttl: lifetimesOf(parts),
  };
}

function featuresOf(parts: ProviderParts): NonNullable<Configuration["features"]> {
  const resources = new Map(parts.file.resources.map((one) => [one.identifier, one]));
  const clients = new Map(parts.file.clients.map((one) => [one.id, one]));
  return {
    devInteractions: { enabled: false },
    registration: { enabled: false },
    deviceFlow: { enabled: false },
    backchannelLogout: { enabled: true },
    claimsParameter: { enabled: true },
    clientCredentials: { enabled: true },
    dPoP: { enabled: true },
    introspection: {
      enabled: true,
      // RFC 7662 §2.1: otherwise any client could try tokens it found.
      allowedPolicy: (_ctx, client, token) => {
        if (token.clientId === client.clientId) return true;
        const audience = "aud" in token && typeof token.aud === "string" ? token.aud : "";
        return resources.get(audience)?.introspectedBy.includes(client.clientId) === true;
      },
    },
    pushedAuthorizationRequests: { enabled: true },
    resourceIndicators: createResourceIndicators({ resources, clients }),
    revocation: {
      enabled: true,
      allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId,
    },
    rpInitiatedLogout: {
      enabled: true,
      logoutSource: (ctx) => parts.pages.signOut(ctx),
      postLogoutSuccessSource: (ctx) => parts.pages.signedOut(ctx),
    },
    userinfo: { enabled: true },
  };
}

function lifetimesOf({ nowSeconds }: ProviderParts): NonNullable<Configuration["ttl"]> {
  return {
    AccessToken: LIFETIMES.accessToken,
    ClientCredentials: LIFETIMES.accessToken,
    AuthorizationCode: LIFETIMES.authorizationCode,
    // As long as the longest that stands on it.
    Grant: LIFETIMES.offlineAbsolute,
    IdToken: LIFETIMES.idToken,
    Interaction: LIFETIMES.interaction,
    RefreshToken: (_ctx, token) => {
      const isOffline = token.scopes.has("offline_access");
      return slidingLifetime({
        nowSeconds: nowSeconds(),
        startedAtSeconds: token.iiat ?? nowSeconds(),
        idleSeconds: isOffline ? LIFETIMES.offlineIdle : LIFETIMES.sessionIdle,
        absoluteSeconds: isOffline ? LIFETIMES.offlineAbsolute : LIFETIMES.sessionAbsolute,
      });
    },
    Session: (_ctx, session) =>
      slidingLifetime({
        nowSeconds: nowSeconds(),
        startedAtSeconds: session.loginTs ?? nowSeconds(),
        // Nobody is signed in: it only remembers a sign-out that is being confirmed.
        idleSeconds:
          session.accountId === undefined ? LIFETIMES.interaction : LIFETIMES.sessionIdle,
        absoluteSeconds: LIFETIMES.sessionAbsolute,
      }),
  };
}

function entryOf(parts: ProviderParts, ctx: KoaContextWithOIDC): ClientEntry | undefined {
  return parts.file.clients.find(({ id }) => id === ctx.oidc.client?.clientId);
}

/** A page in a browser may call the token endpoint from where its client is registered, and from nowhere else. */
function isOwnOrigin(entry: ClientEntry | undefined, origin: string): boolean {
  return (
    entry?.kind === "browser" && entry.redirectUris.some((uri) => URL.parse(uri)?.origin === origin)
  );
}
