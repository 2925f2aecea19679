// Sessions as the account pages see them, kept in memory: what the provider does over its own cookie and store.

import type { Clock, Random } from "@tidegate/clock";
import type { FastifyRequest } from "fastify";
import type { SessionDirectory } from "../src/account/session-directory.ts";
import type { SignedInSource } from "../src/account/signed-in-person.ts";
import { readCookie, setCookie } from "../src/browser/cookies.ts";

export interface SessionStandIn {
  readonly directory: SessionDirectory;
  readonly signedIn: SignedInSource;
  /** Signs somebody in elsewhere. @returns the session's id, which is its cookie's value too */
  open(personId: string, userAgent?: string): string;
  isLive(sessionId: string): boolean;
}

export const SESSION_COOKIE = "__Host-session";

export function createSessionStandIn(clock: Clock, random: Random): SessionStandIn {
  const sessions = new Map<
    string,
    { personId: string; userAgent: string | undefined; startedAtMs: number; lastUsedAtMs: number }
  >();
  const open = (personId: string, userAgent?: string): string => {
    const id = random.bytes(16).toString("hex");
    const nowMs = clock.wallMs();
    sessions.set(id, { personId, userAgent, startedAtMs: nowMs, lastUsedAtMs: nowMs });
    return id;
  };
  const find = (request: FastifyRequest) => {
    const id = readCookie(request, SESSION_COOKIE);
    const session = id === undefined ? undefined : sessions.get(id);
    return id !== undefined && session !== undefined ? { id, session } : undefined;
  };
  return {
    open,
    isLive: (id) => sessions.has(id),
    directory: {
      list: async (personId) =>
        [...sessions]
          .filter(([, session]) => session.personId === personId)
          .map(([id, session]) => ({ id, ...session }))
          .toSorted((a, b) => b.lastUsedAtMs - a.lastUsedAtMs),
      async end(personId, id) {
        if (sessions.get(id)?.personId === personId) sessions.delete(id);
      },
      async endAll(personId, { exceptSessionId: except }) {
        for (const [id, session] of sessions) {
          if (session.personId === personId && id !== except) sessions.delete(id);
        }
      },
    },
    signedIn: {
      async find(request) {
        const found = find(request);
        if (found === undefined) return undefined;
        found.session.lastUsedAtMs = clock.wallMs();
        return {
          personId: found.session.personId,
          sessionId: found.id,
          authTimeSeconds: Math.floor(found.session.startedAtMs / 1_000),
        };
      },
      signInUrl: (returnTo) => `/sign-in?${new URLSearchParams({ returnTo }).toString()}`,
      async begin({ request, reply }, { personId, continueTo }) {
        setCookie(reply, {
          name: SESSION_COOKIE,
          value: open(personId, request.headers["user-agent"]),
        });
        return continueTo ?? "/account";
      },
      signOutUrl: "/sign-out",
    },
  };
}
