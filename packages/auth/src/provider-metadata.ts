import type { Clock } from "@tidegate/clock";
import { isJsonObject, type JsonObject } from "./json-object.ts";
import {
  assertTrustworthy,
  fetchJson,
  HttpStatusError,
  isLoopback,
  type Fetch,
} from "./remote-json.ts";

/** @throws {Error} when `issuer` cannot be the URL of an issuer */
export function assertIssuer(issuer: string): void {
  const base = new URL(issuer);
  assertTrustworthy(base);
  if (base.search !== "" || base.hash !== "") {
    throw new Error(`Cannot use ${base.origin}: an issuer has no query and no fragment`);
  }
}

/**
 * What a provider says about itself: OpenID Connect Discovery 1.0 §4, else RFC 8414 §3.
 * @throws {Error} when there is no answer, or it is another issuer's
 */
export async function fetchMetadata(
  issuer: string,
  means: {
    readonly clock: Clock;
    readonly fetch: Fetch;
    readonly signal: AbortSignal;
    readonly timeoutMs?: number;
  },
): Promise<JsonObject> {
  const metadata = await fetchDocument(new URL(issuer), means);
  if (!isJsonObject(metadata)) throw new Error(`Cannot use the metadata of ${issuer}: no object`);
  // RFC 8414 §3.3: must be identical, or one issuer could speak for another (mix-up).
  if (metadata["issuer"] !== issuer)
    throw new Error(`Cannot use the metadata of ${issuer}: it names another issuer`);
  return metadata;
}

/**
 * One of the provider's addresses.
 * @returns undefined when the metadata has none
 * @throws {Error} when it is one that must not be asked
 */
export function endpointOf(metadata: JsonObject, name: string, issuer: string): URL | undefined {
  const text = metadata[name];
  if (typeof text !== "string" || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  assertTrustworthy(url);
  // A provider elsewhere must not make us ask our own machine.
  if (isLoopback(url) && !isLoopback(new URL(issuer))) {
    throw new Error(`Cannot use the metadata of ${issuer}: its ${name} is on a loopback address`);
  }
  return url;
}

async function fetchDocument(
  base: URL,
  means: Parameters<typeof fetchMetadata>[1],
): Promise<unknown> {
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
