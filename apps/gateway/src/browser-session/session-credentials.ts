import { createHash } from "node:crypto";
import type { CredentialKind } from "../identify/credential-kind.ts";
import { refuse, refuseCredential } from "../identify/ask-verifiers.ts";
import { SESSION_COOKIE } from "../identify/presented-credential.ts";
import { REASON } from "../judge/reason.ts";
import type { Refusal } from "../judge/refusal.ts";
import type { Log } from "../record/logger.ts";
import type { RouteConfig } from "../config/schema.ts";
import type { Identity } from "../identify/identifier.ts";
import { readCookie } from "./cookies.ts";
import type { OpenedSession, WorkerSessions } from "./worker-sessions.ts";

/** The session cookie of a browser that signed in here. */
export function sessionCredentials(
  sessions: WorkerSessions,
  { log }: { readonly log: Log },
): CredentialKind {
  return {
    name: "session",
    identify({ head, route }, refusal) {
      const id = sessionIdOf(head.cookie);
      // There more than once: which of them counts would be decided by whoever could add one (cookie tossing).
      if (id === DOUBLED) return refuse(refusal, REASON.credential_ambiguous);
      if (id === undefined) return refuseCredential("shape", { refusal, log });
      const means = { config: route.config, refusal, log };
      const remembered = sessions.recall(id);
      if (remembered !== undefined) return settle(remembered, means);
      return sessions.open(id).then(
        (opened) => settle(opened, means),
        // The main thread does not answer; the session may be good.
        () => refuse(refusal, REASON.identity_unavailable),
      );
    },
    // Providers tell about themselves where their tokens are verified.
    readiness: () => [],
    [Symbol.dispose]() {},
  };
}

/** What stands for a session cookie that is there more than once; no id is empty. */
export const DOUBLED = "";

/**
 * The id of the session that a Cookie field names; `DOUBLED`, or undefined when its value has not the form of one of
 * ours. To be asked where there is such a cookie.
 */
export function sessionIdOf(cookie: string | undefined): string | undefined {
  const secret = readCookie(cookie, SESSION_COOKIE);
  if (secret === undefined) return DOUBLED;
  if (!/^[\w-]{43}$/.test(secret)) return undefined;
  return createHash("sha256").update(secret).digest("base64url");
}

function settle(
  opened: OpenedSession,
  {
    config,
    refusal,
    log,
  }: { readonly config: RouteConfig; readonly refusal: Refusal; readonly log: Log },
): Identity | undefined {
  if (opened === "gone") return refuseCredential("session", { refusal, log });
  if ("retryAfterMs" in opened)
    return refuse(refusal, REASON.identity_unavailable, opened.retryAfterMs);
  const mayVouch = config.auth !== "none" && config.auth.by.includes(opened.provider);
  return mayVouch ? opened.identity : refuseCredential("issuer", { refusal, log });
}
