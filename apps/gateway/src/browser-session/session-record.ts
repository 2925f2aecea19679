import type { Profile } from "@tidegate/auth";

/** A browser session as it is kept. Times are wall milliseconds since the epoch, unless the name says otherwise. */
export interface SessionRecord {
  /** SHA-256 of the cookie's value, base64url: whoever reads the database cannot be anybody. */
  readonly id: string;
  /** Name under `identity`. */
  readonly provider: string;
  readonly issuer: string;
  readonly subject: string;
  readonly client: string;
  readonly scopes: readonly string[];
  readonly acr: string;
  /** 0: the provider does not say. Stays as it was at sign-in: a refresh is none (RFC 9068 §2.2.1). */
  readonly authTimeSeconds: number;
  /** When what is granted now was issued: of the access token where it says so. */
  readonly issuedAtSeconds: number;
  /** The provider's `sid`; empty when it has none. */
  readonly providerSession: string;
  /** `jti` of the access token now held; empty when it has none. */
  readonly tokenId: string;
  /** Rises with every refresh. */
  readonly generation: number;
  readonly beganMs: number;
  readonly usedMs: number;
  /** When it ends, used or not. */
  readonly endsMs: number;
  /** When what the provider granted must be renewed, and until when it counts at all. */
  readonly renewMs: number;
  readonly grantedUntilMs: number;
  readonly secrets: SessionSecrets;
}

/** What is sealed before it is written. */
export interface SessionSecrets {
  readonly refreshToken: string | undefined;
  /** For the provider at sign-out, and to say who is asked for at step-up. */
  readonly idToken: string | undefined;
  /** What people are called on a page. */
  readonly name: string;
  /** For services whose routes ask for it; undefined when the provider said nothing. */
  readonly profile?: Profile | undefined;
}
