import type { Peer, Session } from "../judge/call.ts";

/** Why a session that was let in may not go on. */
export type SessionEnding =
  /** The credential, its session or its person's sign-ins were revoked. */
  | { readonly kind: "revoked" }
  /** The credential has come to its end, and nothing newer was shown. */
  | { readonly kind: "expired" }
  /** Somebody else has signed in at the browser whose session it lived by. */
  | { readonly kind: "identity-changed" }
  /** Who is behind it sits in the penalty box. */
  | {
      readonly kind: "penalised";
      readonly strikes: number;
      readonly retryAfterMs: number;
      /** Whether waiting is not enough: afterwards the person must sign in again. */
      readonly reauthenticate: boolean;
    };

/** What goes on after it was admitted. An answer does when it still runs after 10 s. */
export type LiveKind = "socket" | "answer";

/**
 * What goes on after it was admitted: a socket, or an HTTP answer that takes its time. The right to go on is not
 * proved once: it may end at any moment, and then nothing more may pass in either direction.
 */
export interface LiveSession {
  readonly session: Session;
  readonly peer: Peer;
  /** Written and read by `live-sessions.ts` alone. */
  entry?: LiveEntry | undefined;
  /** Ends it now. What was handed to the kernel before counts as delivered; nothing follows it. Safe to call again. */
  endSession(ending: SessionEnding): void;
}

/** A session, and what is known of its end. */
export interface LiveEntry {
  readonly live: LiveSession;
  readonly kind: LiveKind;
  /** From when on it is a session of its own rather than a call that is about to end. */
  readonly livesFromMs: number;
  /** Set when its right ended before it was that old. */
  ending: SessionEnding | undefined;
  /** Where it stands among all. */
  place: number;
}
