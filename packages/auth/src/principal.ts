import type { Profile } from "./profile.ts";

/** Who is calling. Frozen; replaced whole at refresh, never changed in place. Anonymous is a principal too. */
export interface Principal {
  readonly kind: "anonymous" | "person" | "client" | "key";
  /** Issuer URL, or the name of a users file's own issuer. A person is (`issuer`, `subject`). Empty for anonymous. */
  readonly issuer: string;
  readonly subject: string;
  readonly client: string;
  readonly scopes: ReadonlySet<string>;
  /** Authentication context class, empty when the issuer says nothing. */
  readonly acr: string;
  /** When the person last authenticated, seconds since the epoch; 0 when unknown, which satisfies no freshness rule. */
  readonly authTimeSeconds: number;
  /**
   * When our own browser session with the person began, seconds since the epoch; absent where there is none. Where a
   * provider does not say when somebody signed in, a session that began later is the sign that they did.
   */
  readonly sessionCreatedSeconds?: number;
  /** When the credential itself was issued, its `iat`, seconds since the epoch; 0 when unknown, as with passwords. */
  readonly issuedAtSeconds: number;
  /** The provider's `sid`; empty when it has none. */
  readonly sessionId: string;
  /** The token's `jti`; empty when it has none. */
  readonly tokenId: string;
  /** Which of an API key's secrets was shown, by a digest; absent for everybody else. */
  readonly secretId?: string;
  /**
   * RFC 7638 thumbprint of the key that the credential is bound to (`cnf.jkt`, RFC 9449 §6): it is worth nothing without
   * a proof by that key. Empty when it is bound to none.
   */
  readonly keyThumbprint: string;
  /** When the credential ends, milliseconds since the epoch; `Infinity` when it does not. */
  readonly expiresAtMs: number;
  /** What else their credential says of the person; absent when it says nothing. Frozen. Decides nothing here. */
  readonly profile?: Profile;
}

/** Freezes a principal that crossed threads: the copy is made by structured cloning, which thaws it. */
export function frozenPrincipal(copy: Principal): Principal {
  const { profile } = copy;
  return Object.freeze(
    profile === undefined ? { ...copy } : { ...copy, profile: Object.freeze({ ...profile }) },
  );
}

/** A caller without a credential. */
export const ANONYMOUS: Principal = Object.freeze({
  kind: "anonymous",
  issuer: "",
  subject: "",
  client: "",
  scopes: new Set<string>(),
  acr: "",
  authTimeSeconds: 0,
  issuedAtSeconds: 0,
  sessionId: "",
  tokenId: "",
  keyThumbprint: "",
  expiresAtMs: Number.POSITIVE_INFINITY,
});
