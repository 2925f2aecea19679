import type { AccessTokenVerifier } from "@tidegate/auth";
import type { ProviderConfig } from "../config/schema.ts";
import type { ProviderClient } from "./provider-client.ts";

/** A provider at which people sign in. */
export interface BrowserProvider {
  readonly name: string;
  readonly config: ProviderConfig;
  readonly client: ProviderClient;
  /** Undefined where access tokens say nothing to us. */
  readonly verifier: AccessTokenVerifier | undefined;
}
