import type { FastifyReply, FastifyRequest } from "fastify";

/** Who is signed in at one browser, in one session. */
export interface SignedInPerson {
  /** `sub`. */
  readonly personId: string;
  /** As `SessionDirectory` names it. */
  readonly sessionId: string;
  /** When the person last proved who they are; seconds since the Unix epoch. */
  readonly authTimeSeconds: number;
}

/** What the account pages need to know about sessions at this browser. Implemented over the provider's session cookie. */
export interface SignedInSource {
  /**
   * Who is signed in. A session that was ended, expired, or whose person is disabled or gone is nobody: asked of the
   * store each time, never of the cookie alone.
   */
  find(request: FastifyRequest): Promise<SignedInPerson | undefined>;
  /** Where a browser is sent that must sign in first. @param returnTo a path of this origin, for afterwards */
  signInUrl(returnTo: string): string;
  /**
   * Begins a session for somebody who has just chosen a password here; whatever session the browser had is replaced,
   * under a new id (session fixation, ASVS 7.2.4).
   * @param person.continueTo where the person came from, such as an interaction that waits for a sign-in; judged by the
   *   implementation, since it was carried by the browser
   * @returns where the browser goes next
   */
  begin(
    exchange: { readonly request: FastifyRequest; readonly reply: FastifyReply },
    person: { readonly personId: string; readonly continueTo: string | undefined },
  ): Promise<string>;
  /** Where the sign-out confirmation is. */
  readonly signOutUrl: string;
}
