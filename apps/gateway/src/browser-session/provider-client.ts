// The only file that speaks with a provider as its client; `decisions/` says why by this library.

import * as client from "openid-client";
import type { Clock } from "@tidegate/clock";

/** What a provider granted. */
export interface GrantedTokens {
  readonly accessToken: string;
  /** Undefined when the session cannot be renewed. */
  readonly refreshToken: string | undefined;
  /** Its text, for the provider at sign-out; undefined when a refresh brought no new one. */
  readonly idToken: string | undefined;
  /** Of the ID token, verified: signature, issuer, audience, nonce, times. */
  readonly claims: Readonly<Record<string, unknown>> | undefined;
  /** RFC 6749 §5.1: undefined when the provider does not say. */
  readonly expiresInSeconds: number | undefined;
  /** RFC 6749 §5.1: undefined when it is what was asked for. */
  readonly scope: string | undefined;
}

/** What came of asking a provider. `why` is for the log alone. */
export type ProviderAnswer<Value> =
  | { readonly outcome: "granted"; readonly value: Value }
  /** The provider said no, in the words of RFC 6749 and OpenID Connect; `error` is empty when it said no more than no. */
  | { readonly outcome: "refused"; readonly error: string; readonly why: string }
  /** What came is not what was asked for: an attack, or a provider that is set up in another way. */
  | {
      readonly outcome: "invalid";
      readonly why: string;
      /** Whether the sign-in is older than was asked for, or the provider does not say how old it is. */
      readonly isTooOld: boolean;
    }
  /** It does not answer, or not now. */
  | { readonly outcome: "unavailable"; readonly why: string };

export interface AuthorizationRequest {
  readonly state: string;
  readonly nonce: string;
  readonly challenge: string;
  readonly acr: readonly string[];
  readonly maxAgeSeconds: number | undefined;
  readonly prompt: string | undefined;
  /** Of whoever is signed in, so that the provider asks for them. */
  readonly idTokenHint: string | undefined;
}

export interface ProviderClientOptions {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string | undefined;
  readonly clientAuthentication: "client_secret_basic" | "client_secret_post" | "none";
  readonly scopes: readonly string[];
  /** RFC 8707: whose access tokens are asked for. */
  readonly resource: string | undefined;
  readonly authorizationParameters: Readonly<Record<string, string>>;
  readonly clockToleranceSeconds: number;
  readonly clock: Clock;
  readonly fetch?: typeof globalThis.fetch | undefined;
}

/** The gateway as a confidential client of one OpenID provider, which it knows by its issuer URL alone. */
export class ProviderClient {
  readonly #options: ProviderClientOptions;
  #found: { readonly config: client.Configuration; readonly untilMs: number } | undefined;
  /** One at a time; whoever comes meanwhile waits for it. */
  #finding: Promise<client.Configuration> | undefined;
  #failed: { readonly error: unknown; readonly untilMs: number } | undefined;

  constructor(options: ProviderClientOptions) {
    this.#options = options;
  }

  /**
   * Where the browser goes to sign in. Pushed to the provider first (RFC 9126) where that is demanded.
   * @param request.redirectUri where it comes back to
   */
  authorizationUrl(
    request: AuthorizationRequest & { readonly redirectUri: string },
  ): Promise<ProviderAnswer<URL>> {
    const { scopes, resource, authorizationParameters } = this.#options;
    return this.#ask(async (config) => {
      const parameters = {
        ...authorizationParameters,
        ...present({
          resource,
          acr_values: request.acr.length === 0 ? undefined : request.acr.join(" "),
          max_age: request.maxAgeSeconds?.toString(),
          prompt: request.prompt,
          id_token_hint: request.idTokenHint,
        }),
        redirect_uri: request.redirectUri,
        scope: scopes.join(" "),
        state: request.state,
        nonce: request.nonce,
        code_challenge: request.challenge,
        code_challenge_method: "S256",
      };
      const isPushed = config.serverMetadata().require_pushed_authorization_requests === true;
      return isPushed
        ? await client.buildAuthorizationUrlWithPAR(config, parameters)
        : client.buildAuthorizationUrl(config, parameters);
    });
  }

  /** Whether the provider names itself in its answers (RFC 9207), without which two providers can be mixed up. */
  namesItself(): Promise<ProviderAnswer<boolean>> {
    return this.#ask(
      async (config) =>
        config.serverMetadata().authorization_response_iss_parameter_supported === true,
    );
  }

  /**
   * Redeems what the provider sent the browser back with.
   * @param callbackUrl our own URL of the callback, with the query that came
   */
  redeem(
    callbackUrl: URL,
    expected: {
      readonly state: string;
      readonly nonce: string;
      readonly verifier: string;
      readonly maxAgeSeconds: number | undefined;
    },
  ): Promise<ProviderAnswer<GrantedTokens>> {
    return this.#ask(async (config) =>
      toGranted(
        await client.authorizationCodeGrant(
          config,
          callbackUrl,
          {
            expectedState: expected.state,
            expectedNonce: expected.nonce,
            pkceCodeVerifier: expected.verifier,
            idTokenExpected: true,
            ...(expected.maxAgeSeconds === undefined ? {} : { maxAge: expected.maxAgeSeconds }),
          },
          present({ resource: this.#options.resource }),
        ),
      ),
    );
  }

  /**
   * What the provider says of the person whose access token this is (OpenID Connect Core §5.3); undefined where it offers
   * no such endpoint. Whether `sub` in it is who was expected is left to the caller.
   */
  userInfo(
    accessToken: string,
  ): Promise<ProviderAnswer<Readonly<Record<string, unknown>> | undefined>> {
    return this.#ask(async (config) =>
      config.serverMetadata().userinfo_endpoint === undefined
        ? undefined
        : await client.fetchUserInfo(config, accessToken, client.skipSubjectCheck),
    );
  }

  refresh(refreshToken: string): Promise<ProviderAnswer<GrantedTokens>> {
    return this.#ask(async (config) => {
      const resource = present({ resource: this.#options.resource });
      try {
        return toGranted(await client.refreshTokenGrant(config, refreshToken, resource));
      } catch (error) {
        throw isBareRefusal(error) ? new BareRefusal() : error;
      }
    });
  }

  /** RFC 7009, where the provider offers it. */
  revoke(refreshToken: string): Promise<ProviderAnswer<void>> {
    return this.#ask(async (config) => {
      if (config.serverMetadata().revocation_endpoint === undefined) return;
      await client.tokenRevocation(config, refreshToken, { token_type_hint: "refresh_token" });
    });
  }

  /** OpenID Connect RP-Initiated Logout 1.0; the value is undefined where the provider does not offer it. */
  endSessionUrl(parameters: {
    readonly idTokenHint: string | undefined;
    readonly returnTo: string;
  }): Promise<ProviderAnswer<URL | undefined>> {
    return this.#ask(async (config) => {
      if (config.serverMetadata().end_session_endpoint === undefined) return undefined;
      return client.buildEndSessionUrl(config, {
        ...present({ id_token_hint: parameters.idTokenHint }),
        post_logout_redirect_uri: parameters.returnTo,
      });
    });
  }

  async #ask<Value>(
    work: (config: client.Configuration) => Promise<Value>,
  ): Promise<ProviderAnswer<Value>> {
    try {
      return { outcome: "granted", value: await work(await this.#discover()) };
    } catch (error) {
      return toFailure(error);
    }
  }

  async #discover(): Promise<client.Configuration> {
    const { clock } = this.#options;
    const nowMs = clock.monotonicMs();
    if (this.#found !== undefined && nowMs < this.#found.untilMs) return this.#found.config;
    if (this.#failed !== undefined && nowMs < this.#failed.untilMs) {
      // A provider that is down is not asked by everybody who wants to sign in.
      if (this.#found !== undefined) return this.#found.config;
      throw this.#failed.error;
    }
    this.#finding ??= this.#load().finally(() => (this.#finding = undefined));
    try {
      const config = await this.#finding;
      this.#found = { config, untilMs: clock.monotonicMs() + METADATA_LIFETIME_MS };
      return config;
    } catch (error) {
      this.#failed = { error, untilMs: clock.monotonicMs() + RETRY_AFTER_MS };
      if (this.#found !== undefined) return this.#found.config;
      throw error;
    }
  }

  async #load(): Promise<client.Configuration> {
    const { issuer, clientId, clientSecret, clientAuthentication } = this.#options;
    const isLoopback = issuer.startsWith("http:");
    const config = await client.discovery(
      new URL(issuer),
      clientId,
      { [client.clockTolerance]: this.#options.clockToleranceSeconds },
      clientAuthentication === "none"
        ? client.None()
        : clientAuthentication === "client_secret_post"
          ? client.ClientSecretPost(clientSecret)
          : client.ClientSecretBasic(clientSecret),
      {
        timeout: TIMEOUT_SECONDS,
        // The configuration allows plain http for loopback alone.
        execute: isLoopback
          ? [client.allowInsecureRequests, client.enableNonRepudiationChecks]
          : [client.enableNonRepudiationChecks],
        [client.customFetch]: bounded(this.#options.fetch ?? globalThis.fetch),
      },
    );
    // The library compares as URLs; issuers are compared byte by byte (RFC 8414 §3.3).
    if (config.serverMetadata().issuer !== issuer)
      throw new Error(`the discovery document is of ${config.serverMetadata().issuer}`);
    return config;
  }
}

const TIMEOUT_SECONDS = 10;
/** Providers move endpoints and keys rarely; a restart is not needed when they do. */
const METADATA_LIFETIME_MS = 3_600_000;
const RETRY_AFTER_MS = 2_000;
/** Longer than any token answer, metadata or key set. */
const MAX_ANSWER_BYTES = 1_048_576;

function toGranted(
  tokens: client.TokenEndpointResponse & client.TokenEndpointResponseHelpers,
): GrantedTokens {
  return {
    accessToken: tokens.access_token,
    refreshToken: tokens.refresh_token,
    idToken: tokens.id_token,
    claims: tokens.claims(),
    expiresInSeconds: tokens.expires_in,
    scope: tokens.scope,
  };
}

/** RFC 6749 §5.2: with these the grant itself is refused. The others are mistakes of ours or the provider's trouble. */
const REFUSALS = new Set([
  "invalid_grant",
  "unauthorized_client",
  "access_denied",
  "invalid_scope",
]);

class BareRefusal extends Error {
  override readonly message = "the provider refused without a reason";
}

/**
 * A `400` with nothing in it, as some providers refuse. RFC 6749 §5.2 wants a reason: without one, nobody knows whether
 * the grant is over or our registration is wrong.
 */
function isBareRefusal(error: unknown): boolean {
  if (!(error instanceof client.ClientError)) return false;
  const { cause } = error;
  return (
    cause instanceof Response && cause.status === 400 && cause.headers.get("content-type") === null
  );
}

function toFailure(error: unknown): Exclude<ProviderAnswer<never>, { outcome: "granted" }> {
  const why = describe(error);
  if (error instanceof BareRefusal) return { outcome: "refused", error: "", why };
  if (error instanceof client.AuthorizationResponseError)
    return { outcome: "refused", error: error.error, why };
  if (error instanceof client.ResponseBodyError)
    return REFUSALS.has(error.error)
      ? { outcome: "refused", error: error.error, why }
      : { outcome: "unavailable", why };
  if (error instanceof client.ClientError && UNFIT.has(error.code ?? ""))
    return { outcome: "invalid", why, isTooOld: /auth_time|End-User authentication/.test(why) };
  return { outcome: "unavailable", why };
}

/** What came was read, and does not fit. */
const UNFIT = new Set([
  "OAUTH_INVALID_RESPONSE",
  "OAUTH_INVALID_REQUEST",
  "OAUTH_JWT_CLAIM_COMPARISON_FAILED",
  "OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED",
  "OAUTH_JWT_TIMESTAMP_CHECK_FAILED",
  "OAUTH_UNSUPPORTED_OPERATION",
  "OAUTH_KEY_SELECTION_FAILED",
  "OAUTH_MISSING_SERVER_METADATA",
]);

/** Messages and codes only: what caused them may hold tokens. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return "unknown";
  const code = "code" in error && typeof error.code === "string" ? error.code : error.name;
  const { cause } = error;
  const deeper = cause instanceof Error && cause.message !== error.message ? cause.message : "";
  const said =
    error instanceof client.ResponseBodyError || error instanceof client.AuthorizationResponseError
      ? ` ${error.error}`
      : "";
  return `${code}${said}: ${error.message}${deeper === "" ? "" : ` (${deeper})`}`.slice(0, 400);
}

/** Answers are read whole before they are parsed, so they are bounded; no redirect is followed with a secret in it. */
function bounded(fetch: typeof globalThis.fetch): client.CustomFetch {
  return async (url, options) => {
    const answer = await fetch(url, { ...(options as RequestInit), redirect: "manual" });
    const chunks: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of answer.body ?? []) {
      length += chunk.length;
      if (length > MAX_ANSWER_BYTES) throw new TypeError("the answer is too long");
      chunks.push(chunk);
    }
    const { status, headers } = answer;
    const isBare = status === 204 || status === 304 || status < 200;
    return new Response(isBare ? null : Buffer.concat(chunks), { status, headers });
  };
}

function present(values: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(values)) if (value !== undefined) kept[name] = value;
  return kept;
}
