/** One sign-in that is still good, as its owner sees it. */
export interface SessionEntry {
  readonly id: string;
  readonly startedAtMs: number;
  readonly lastUsedAtMs: number;
  /** The browser's own words, as it sent them; undefined when it sent none. At most 512 characters. */
  readonly userAgent: string | undefined;
}

/** Every sign-in session at this provider. Ending one revokes its grants and tells the clients (back-channel logout). */
export interface SessionDirectory {
  /** Live sessions of one person, newest use first; at most 100. */
  list(personId: string): Promise<readonly SessionEntry[]>;
  /**
   * Ends one session of this person. A session of somebody else, or none, is left alone.
   * Durable before the promise resolves.
   */
  end(personId: string, sessionId: string): Promise<void>;
  /** Ends every session and grant of a person, except one session if given. Durable before the promise resolves. */
  endAll(
    personId: string,
    options: { readonly reason: AccountEndReason; readonly exceptSessionId?: string },
  ): Promise<void>;
}

/** What a person did that ended sessions of theirs: the audit trail says which. */
export type AccountEndReason = "ended-by-person" | "password-changed" | "person-deleted";
