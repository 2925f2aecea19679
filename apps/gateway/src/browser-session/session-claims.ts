import {
  mergeProfiles,
  parseToken,
  tokenFingerprint,
  readProfile,
  type AccessTokenVerifier,
  type Principal,
  type Profile,
} from "@tidegate/auth";
import type { Clock } from "@tidegate/clock";
import type { ProviderConfig } from "../config/schema.ts";
import type { GrantedTokens } from "./provider-client.ts";

/** Who signed in and what they may, as far as their tokens say. */
export interface SessionClaims {
  readonly subject: string;
  readonly client: string;
  readonly scopes: readonly string[];
  /** In the words that routes use. */
  readonly acr: string;
  readonly authTimeSeconds: number;
  readonly issuedAtSeconds: number;
  readonly providerSession: string;
  readonly tokenId: string;
  readonly name: string;
  readonly profile: Profile | undefined;
  /** Wall milliseconds. */
  readonly grantedUntilMs: number;
}

/**
 * Reads the tokens of a sign-in or a refresh. The ID token says who it is; what they may, only the access token says:
 * checked like any other where it is a JWT for our audience. Where it is opaque to us, its scopes are what the token
 * endpoint said it has (RFC 6749 §5.1). A JWT meant for another audience brings no rights here.
 * @returns why they are not accepted, for the log
 */
export async function readSessionClaims(
  tokens: GrantedTokens,
  {
    config,
    verifier,
    clock,
    subject,
  }: {
    readonly config: ProviderConfig;
    /** Undefined where access tokens say nothing to us. */
    readonly verifier: AccessTokenVerifier | undefined;
    readonly clock: Clock;
    /** Who it must be, where there was a sign-in before. */
    readonly subject: string | undefined;
  },
): Promise<
  { readonly claims: SessionClaims } | { readonly why: string; readonly isOutage: boolean }
> {
  const claims = tokens.claims ?? {};
  const named = tokens.claims === undefined ? subject : text(claims["sub"]);
  if (named === undefined || named === "") return refused("the ID token names nobody");
  if (subject !== undefined && subject !== named)
    return refused("the ID token names another person");
  const access = await readAccess(tokens.accessToken, verifier);
  if ("why" in access) return access;
  const { principal } = access;
  // OpenID Connect Core §5.3.2 in spirit: tokens of two people must never be put together.
  if (principal !== undefined && principal.subject !== named)
    return refused("access token and ID token name different people");
  // Bound to a key that we do not have.
  if (principal !== undefined && principal.keyThumbprint !== "")
    return refused("the access token is bound to a key");
  const nowMs = clock.wallMs();
  const lifetimeMs = (tokens.expiresInSeconds ?? DEFAULT_LIFETIME_SECONDS) * 1_000;
  const scopes = access.isForeign
    ? []
    : (principal?.scopes ?? toScopes(tokens.scope, config.browser?.scopes ?? []));
  // The access token may say it too, of the same person; the ID token is what was asked for at sign-in.
  const profile = mergeProfiles(readProfile(claims), principal?.profile);
  return {
    claims: {
      subject: named,
      client: principal?.client ?? config.client?.id ?? "",
      scopes: [...scopes],
      acr: mapLevel(text(claims["acr"]) ?? "", config) || (principal?.acr ?? ""),
      authTimeSeconds:
        readAuthTime(claims["auth_time"], { config, nowMs }) || (principal?.authTimeSeconds ?? 0),
      issuedAtSeconds: principal?.issuedAtSeconds ?? Math.floor(nowMs / 1_000),
      providerSession: text(claims["sid"]) ?? principal?.sessionId ?? "",
      tokenId: principal?.tokenId ?? "",
      name: nameIn(profile),
      profile,
      grantedUntilMs: Math.min(
        nowMs + Math.min(lifetimeMs, config.maxTokenLifetimeSeconds * 1_000),
        principal?.expiresAtMs ?? Number.POSITIVE_INFINITY,
      ),
    },
  };
}

/** What people are called on a page; empty when nobody knows. */
export const nameIn = (profile: Profile | undefined): string =>
  profile?.name ?? profile?.preferred_username ?? profile?.email ?? "";

/** What a provider calls the levels that a route wants: the same, unless `acrMap` translates. */
export function toProviderLevels(
  acr: readonly string[],
  { acrMap }: Pick<ProviderConfig, "acrMap">,
): string[] {
  if (acrMap === undefined) return [...acr];
  return acr.flatMap((wanted) =>
    Object.entries(acrMap).flatMap(([theirs, ours]) => (ours === wanted ? [theirs] : [])),
  );
}

type Access =
  | { readonly principal: Principal | undefined; readonly isForeign: boolean }
  | { readonly why: string; readonly isOutage: boolean };

async function readAccess(
  token: string,
  verifier: AccessTokenVerifier | undefined,
): Promise<Access> {
  const parts = verifier === undefined ? undefined : parseToken(token);
  if (verifier === undefined || parts === undefined)
    return { principal: undefined, isForeign: false };
  const fingerprint = tokenFingerprint(token);
  const answer =
    verifier.recall(fingerprint) ??
    (await verifier.verify({ text: token, parts, fingerprint }, NEVER));
  switch (answer.outcome) {
    case "accepted":
      return { principal: answer.principal, isForeign: false };
    case "invalid":
      // Good for somebody, but not here, as it would not be from a bearer.
      if (NOT_FOR_US.has(answer.why)) return { principal: undefined, isForeign: true };
      return refused(`the access token is not accepted: ${answer.why}`);
    default:
      return { why: "the provider's keys cannot be had", isOutage: true };
  }
}

const NEVER = new AbortController().signal;
const NOT_FOR_US = new Set(["audience", "header", "kind-of-token", "claims", "lifetime"]);
/** RFC 6749 §5.1 recommends that it is said; where it is not, what is usual at the least. */
const DEFAULT_LIFETIME_SECONDS = 300;

const refused = (why: string) => ({ why, isOutage: false });

const toScopes = (scope: string | undefined, asked: readonly string[]): readonly string[] =>
  scope === undefined ? asked : scope.split(" ").filter((one) => one !== "");

function mapLevel(acr: string, { acrMap }: Pick<ProviderConfig, "acrMap">): string {
  if (acrMap === undefined) return acr;
  return Object.hasOwn(acrMap, acr) ? (acrMap[acr] ?? "") : "";
}

/** OWASP ASVS 6.8.4: where the provider does not say, the weakest is assumed; unknown satisfies no freshness rule. */
function readAuthTime(
  value: unknown,
  { config, nowMs }: { readonly config: ProviderConfig; readonly nowMs: number },
): number {
  if (config.authTimeFrom === "none" || typeof value !== "number" || !(value > 0)) return 0;
  return value > nowMs / 1_000 + config.clockToleranceSeconds ? 0 : Math.floor(value);
}

/** Names go to logs, pages and assertions; control characters would only serve to confuse them. */
function text(value: unknown): string | undefined {
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  return typeof value === "string" && /^[^\u0000-\u001f\u007f-\u009f]{1,255}$/.test(value)
    ? value
    : undefined;
}
