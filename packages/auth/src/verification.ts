import type { Principal } from "./principal.ts";

/** What checking a credential came to. A refusal is a value: only bugs are thrown. */
export type Verification =
  | Accepted
  /** The credential is not good. `why` is for the log alone: told to the caller, it would help to make a better forgery. */
  | { readonly outcome: "invalid"; readonly why: InvalidWhy }
  /** What is needed to decide cannot be had now. Says nothing about the credential: never a 401. */
  | { readonly outcome: "unavailable"; readonly retryAfterMs: number }
  /** Too many are being checked; this one was not. */
  | { readonly outcome: "busy"; readonly retryAfterMs: number }
  /** Too many wrong attempts before; this one was not looked at. */
  | { readonly outcome: "backed-off"; readonly retryAfterMs: number };

export interface Accepted {
  readonly outcome: "accepted";
  readonly principal: Principal;
  /** Stands for the credential in memories: a digest, never its text. */
  readonly fingerprint: string;
}

/** Why a credential was not accepted; few values, so it can label a metric. */
export type InvalidWhy =
  | "shape"
  | "header"
  | "issuer"
  | "audience"
  | "kind-of-token"
  | "expired"
  | "not-yet-valid"
  | "lifetime"
  | "claims"
  /** Bound to a key in a way that is not known here, or where no proof can be checked. */
  | "proof-of-possession"
  /** Bound to a client certificate (RFC 8705), which nobody asks for here. */
  | "certificate-bound"
  /** A proof of possession (RFC 9449) that does not fit, or is not there. */
  | "proof-missing"
  | "proof-shape"
  | "proof-header"
  | "proof-key"
  | "proof-target"
  | "proof-token"
  | "proof-time"
  | "proof-signature"
  | "proof-replayed"
  /** The provider says that the token is not active. */
  | "inactive"
  | "key-unknown"
  | "signature"
  | "password";

export const invalid = (why: InvalidWhy): Verification => ({ outcome: "invalid", why });
