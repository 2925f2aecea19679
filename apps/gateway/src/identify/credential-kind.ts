import type { Readiness } from "../admin/readiness.ts";
import type { Refusal } from "../judge/refusal.ts";
import type { Identifier, Identity } from "./identifier.ts";
import type { CredentialName } from "./presented-credential.ts";

/**
 * One kind of credential: how it is verified, over everybody of the configuration who vouches by it. A kind does not
 * decide whether a call shows it: two credentials at once are refused, so one place looks at all of them
 * (`presented-credential.ts`) and gives the call to the kind of that name.
 */
export interface CredentialKind extends Disposable {
  /** What it reads. No two kinds have the same. */
  readonly name: CredentialName;
  /**
   * Who is calling by this credential, on a route that asks for one. Only those whom `route.config.auth.by` names may
   * vouch. Synchronous whenever the credential is remembered or malformed: most calls come here.
   * @returns the identity, or undefined after `refusal` was filled
   */
  readonly identify: Identifier["identify"];
  /** One part per issuer, for `/readyz`. */
  readiness(): readonly Readiness[];
}

/** The call, as kinds see it. */
export type CredentialRequest = Parameters<Identifier["identify"]>[0];

/** Who waits for the answer. */
export type Caller = Parameters<Identifier["identify"]>[2];

/** What `identify` comes to. */
export type IdentityAnswer = Identity | undefined | Promise<Identity | undefined>;

/** What answering needs beside the credential. */
export interface AnswerMeans {
  readonly refusal: Refusal;
  readonly caller: Caller;
}
