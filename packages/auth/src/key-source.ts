import type { Clock } from "@tidegate/clock";
import { isJsonObject, type JsonObject } from "./json-object.ts";
import { assertIssuer, endpointOf, fetchMetadata } from "./provider-metadata.ts";
import { assertTrustworthy, fetchJson, type Fetch } from "./remote-json.ts";
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

/** Keys of an issuer, found by its metadata. It is asked for with every load, so that a provider may move its keys. */
export function issuerSource(issuer: string, means: Means): KeySource {
  assertIssuer(issuer);
  return {
    async load(signal) {
      const jwksUrl = jwksUrlOf(await fetchMetadata(issuer, { ...means, signal }), issuer);
      return readJwks(await fetchJson(jwksUrl, { ...means, signal }));
    },
  };
}

function jwksUrlOf(metadata: JsonObject, issuer: string): URL {
  const url = endpointOf(metadata, "jwks_uri", issuer);
  if (url === undefined) throw new Error(`Cannot use the metadata of ${issuer}: no jwks_uri`);
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
