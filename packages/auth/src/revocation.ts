/**
 * What has been withdrawn before its time. Never the text of a token: one token may have many spellings, and a list
 * of texts is a list of credentials. A person is (`issuer`, `subject`); the same subject at another issuer is
 * somebody else.
 */
export type Revocation =
  /** One token, by its `jti`. Kept until the token ends. */
  | { readonly kind: "token"; readonly issuer: string; readonly tokenId: string }
  /** Everything of one session at the provider, by its `sid`. Kept as long as the longest refresh token. */
  | { readonly kind: "session"; readonly issuer: string; readonly sessionId: string }
  /**
   * Whoever signed in at or before `atSeconds`: "sign out everywhere", a changed password, a disabled account. A
   * refreshed token keeps its `auth_time` (RFC 9068 §2.2.1), so refreshing does not get around it.
   */
  | {
      readonly kind: "subject";
      readonly issuer: string;
      readonly subject: string;
      /** Seconds since the epoch. */
      readonly atSeconds: number;
    }
  /** Access tokens issued at or before `atSeconds`, by `iat`: for tokens that leaked while the sessions behind them did not. */
  | {
      readonly kind: "issued-before";
      readonly issuer: string;
      readonly subject: string;
      /** Seconds since the epoch. */
      readonly atSeconds: number;
    };

/** A revocation, and how long it has to be remembered. */
export interface RevocationEntry {
  readonly revocation: Revocation;
  /** Wall milliseconds after which no credential that it could refuse is good any more. */
  readonly untilMs: number;
}
