import type { Principal } from "@tidegate/auth";
import type { RequestHead } from "../accept/request-head.ts";
import type { CallKind, Peer } from "../judge/call.ts";
import type { Refusal } from "../judge/refusal.ts";
import type { Route } from "../route/route.ts";

/** What a credential came to. */
export interface Identity {
  readonly principal: Principal;
  /**
   * Stands for the credential in memories (the assertion's, for one): a digest, never the credential's text.
   * Empty for anonymous callers.
   */
  readonly fingerprint: string;
  /** What the socket is called that this opens, where that was told before; with tickets only. */
  readonly connectionId?: string;
}

/** Step 5 of the road: who is calling. */
export interface Identifier {
  /**
   * Synchronous whenever the credential is remembered, absent or malformed; a promise when it must be verified.
   * @returns the identity, or undefined after `refusal` was filled. A promise must only be awaited with the
   *   caller's `signal` (made when it is first read): when the client leaves, what can be stopped is stopped.
   */
  identify(
    request: {
      readonly head: RequestHead;
      readonly route: Route;
      readonly peer: Peer;
      /** Tickets are good for handshakes alone. Default: a request. */
      readonly kind?: CallKind;
      /**
       * Asked before a credential that is not remembered is checked, where checking costs something; `identity_busy` when
       * it says no. Undefined: always.
       */
      readonly mayVerify?: (() => boolean) | undefined;
    },
    refusal: Refusal,
    caller: { readonly signal: AbortSignal },
  ): Identity | undefined | Promise<Identity | undefined>;
  /** Whether every issuer can verify now; for `/readyz`. */
  readonly isReady: boolean;
}
