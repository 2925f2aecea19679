import {
  createAccessTokenVerifier,
  createIntrospectionVerifier,
  createProofNonces,
  createProofVerifier,
  type AccessTokenVerifier,
  type Fetch,
  type IntrospectionVerifier,
  type ProofVerifier,
} from "@tidegate/auth";
import type { Clock, Random } from "@tidegate/clock";
import type { ProviderConfig } from "../config/schema.ts";
import {
  introspectionFailed,
  introspectionRecovered,
  issuerFailed,
  issuerKeysLoaded,
} from "../record/events.ts";
import type { Log } from "../record/logger.ts";
import type { ProofMemory } from "./proof-memory.ts";

/** Everything that checks the tokens of one provider. */
export interface TokenIssuer extends Disposable {
  /** Under `identity`. */
  readonly name: string;
  /** URL, as it stands in `iss`. */
  readonly issuer: string;
  /** For tokens that can be checked here; undefined where the provider is asked about all. */
  readonly jwt: AccessTokenVerifier | undefined;
  /** For tokens that the provider is asked about; undefined where there are none. */
  readonly asked: IntrospectionVerifier | undefined;
  readonly proofs: ProofVerifier;
  /** Tokens that are not bound to a key are refused. */
  readonly requiresProof: boolean;
}

interface Means {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly fetch?: Fetch | undefined;
  readonly proofs: ProofMemory;
}

/** Makes what checks one provider's tokens, and tells the log how the provider is. Loads nothing before it is started. */
export function openIssuer(name: string, provider: ProviderConfig, means: Means): TokenIssuer {
  const { issuer, tokenFormat, dpop } = provider;
  const { clock, proofs } = means;
  const jwt = tokenFormat === "opaque" ? undefined : openVerifier(name, provider, means);
  const asked = tokenFormat === "jwt" ? undefined : openIntrospection(name, provider, means);
  return {
    name,
    issuer,
    jwt,
    asked,
    proofs: createProofVerifier({
      ...dpop,
      clockToleranceSeconds: provider.clockToleranceSeconds,
      replays: proofs.replays,
      nonces: dpop.nonce ? createProofNonces({ secret: proofs.nonceSecret, clock }) : undefined,
      clock,
    }),
    requiresProof: dpop.required,
    [Symbol.dispose]() {
      jwt?.[Symbol.dispose]();
      asked?.[Symbol.dispose]();
    },
  };
}

/** What checks one provider's JWTs, and tells the log how its keys are. Loads nothing before it is started. */
export function openVerifier(
  name: string,
  provider: ProviderConfig,
  { clock, random, log, fetch }: Omit<Means, "proofs">,
): AccessTokenVerifier {
  let keyCount = -1;
  const verifier = createAccessTokenVerifier({
    ...rulesOf(provider),
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

function openIntrospection(
  name: string,
  provider: ProviderConfig,
  { clock, random, log, fetch }: Means,
): IntrospectionVerifier {
  const { introspection, client } = provider;
  // The check of the configuration has seen to both.
  if (introspection === undefined || client?.secret === undefined)
    throw new Error(`Cannot ask ${name} about tokens: its client has no secret`);
  return createIntrospectionVerifier({
    ...rulesOf(provider),
    ...introspection,
    rememberMs: introspection.rememberSeconds * 1_000,
    rememberRefusedMs: introspection.rememberRefusedSeconds * 1_000,
    client: { ...client, secret: client.secret },
    clock,
    random,
    ...(fetch === undefined ? {} : { fetch }),
    onOutage(error) {
      if (error === undefined) introspectionRecovered(log, { issuer: name });
      else introspectionFailed(log, { issuer: name, error });
    },
  });
}

/** What the claims of a provider's tokens must be. */
const rulesOf = (provider: ProviderConfig) => ({
  ...provider,
  authTimeClaim: authTimeClaimOf(provider),
  // Both kinds that read tokens here ask for the proof.
  boundTokens: "proof-checked-by-caller" as const,
});

/** Where a token itself says when its person signed in; empty where only an ID token or nothing does. */
export function authTimeClaimOf({ authTimeFrom }: Pick<ProviderConfig, "authTimeFrom">): string {
  if (authTimeFrom === "access_token") return "auth_time";
  return authTimeFrom.startsWith("custom:") ? authTimeFrom.slice("custom:".length) : "";
}
