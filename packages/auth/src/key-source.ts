import type { Clock } from "@tidegate/clock";
import { isJsonObject } from "./json-object.ts";
import {
  assertTrustworthy,
  fetchJson,
  HttpStatusError,
  isLoopback,
  type Fetch,
} from "./remote-json.ts";
import { vetKey, type VerificationKey } from "./verification-key.ts";

/** Where an issuer's keys come from; asked by a key set, one load at a time. */
export interface KeySource {
  /**
   * @returns the keys that passed vetting, and why others did not
   * @throws {Error} when there is no answer, or not a JWKS: the keys of before stay
   */
  load(signal: AbortSignal): Promise<LoadedKeys>;
}

export interface LoadedKeys {
  readonly keys: readonly VerificationKey[];
  /** One reason per key that was left out; for the log. */
  readonly refused: readonly string[];
}

interface Means {
  readonly clock: Clock;
  readonly fetch: Fetch;
}

/** Keys of a JWKS at a known address. */
export function jwksSource(url: URL, means: Means): KeySource {
  assertTrustworthy(url);
  return { load: async (signal) => readJwks(await fetchJson(url, { ...means, signal })) };
}

/**
 * Keys of an issuer, found by its metadata: OpenID Connect Discovery 1.0 §4, else RFC 8414 §3. The metadata is
 * asked for with every load, so that a provider may move its keys.
 */
export function issuerSource(issuer: string, means: Means): KeySource {
  const base = new URL(issuer);
  assertTrustworthy(base);
  if (base.search !== "" || base.hash !== "") {
    throw new Error(`Cannot use ${base.origin}: an issuer has no query and no fragment`);
  }
  return {
    async load(signal) {
      const metadata = await fetchMetadata(base, { ...means, signal });
      const jwksUrl = readMetadata(metadata, issuer);
      return readJwks(await fetchJson(jwksUrl, { ...means, signal }));
    },
  };
}

async function fetchMetadata(base: URL, means: Means & { signal: AbortSignal }): Promise<unknown> {
  const path = base.pathname.replace(/\/$/, "");
  try {
    return await fetchJson(
      new URL(`${base.origin}${path}/.well-known/openid-configuration`),
      means,
    );
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined;
    if (!(cause instanceof HttpStatusError) || cause.status !== 404) throw error;
    // RFC 8414 §3.1: the well-known part stands between host and path.
    return fetchJson(
      new URL(`${base.origin}/.well-known/oauth-authorization-server${path}`),
      means,
    );
  }
}

function readMetadata(metadata: unknown, issuer: string): URL {
  if (!isJsonObject(metadata)) throw new Error(`Cannot use the metadata of ${issuer}: no object`);
  const { issuer: named, jwks_uri: jwksUri } = metadata;
  // RFC 8414 §3.3: must be identical, or one issuer could speak for another (mix-up).
  if (named !== issuer)
    throw new Error(`Cannot use the metadata of ${issuer}: it names another issuer`);
  if (typeof jwksUri !== "string" || !URL.canParse(jwksUri)) {
    throw new Error(`Cannot use the metadata of ${issuer}: no jwks_uri`);
  }
  const url = new URL(jwksUri);
  assertTrustworthy(url);
  // A provider elsewhere must not make us ask our own machine.
  if (isLoopback(url) && !isLoopback(new URL(issuer))) {
    throw new Error(`Cannot use the metadata of ${issuer}: its keys are on a loopback address`);
  }
  return url;
}

/** Providers publish two to six keys; tens would only be there to be searched through. */
const MAX_KEYS = 64;

function readJwks(document: unknown): LoadedKeys {
  const members = isJsonObject(document) ? document["keys"] : undefined;
  if (!Array.isArray(members)) throw new Error("Cannot use the key set: no array of keys");
  if (members.length > MAX_KEYS)
    throw new Error(`Cannot use the key set: more than ${MAX_KEYS} keys`);
  const keys: VerificationKey[] = [];
  const refused: string[] = [];
  for (const member of members) {
    const key = vetKey(member);
    if ("refused" in key) refused.push(key.refused);
    else keys.push(key);
  }
  return { keys, refused };
}
