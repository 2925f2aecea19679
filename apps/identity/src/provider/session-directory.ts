import type { SessionDirectory } from "../account/session-directory.ts";
import type { EndReason } from "../events.ts";
import type { SessionStore } from "./session-store.ts";

const MAX_LISTED = 100;

/** The sessions of a person as their account page sees them. */
export function createSessionDirectory(sessions: SessionStore): SessionDirectory {
  return {
    async list(personId) {
      const records = await sessions.list(personId);
      return records.slice(0, MAX_LISTED).map(({ session, ...use }) => ({
        id: session.uid,
        startedAtMs: use.startedAtMs,
        lastUsedAtMs: use.lastUsedAtMs,
        userAgent: use.userAgent,
      }));
    },
    async end(personId, sessionId) {
      const isTheirs = (await sessions.list(personId)).some(
        ({ session }) => session.uid === sessionId,
      );
      if (isTheirs) await sessions.end(sessionId, "ended-by-person" satisfies EndReason);
    },
    async endAll(personId, { reason, exceptSessionId }) {
      await sessions.endAll(personId, reason satisfies EndReason, { exceptUid: exceptSessionId });
    },
  };
}
