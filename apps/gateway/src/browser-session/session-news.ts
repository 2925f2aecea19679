// What main thread and workers say to each other about browser sessions.

import type { Principal } from "@tidegate/auth";
import type { BrowserCall } from "./sign-in-desk.ts";

/** Why a session ended; for the log, and for whoever closes what depended on it. */
export type SessionEnd =
  | "signed-out"
  | "revoked"
  | "expired"
  | "idle"
  | "refused-by-provider"
  | "too-many"
  | "other-person"
  | "not-configured";

/** What a worker learns about a session it asked for. */
export type SessionView =
  | {
      readonly outcome: "open";
      /** Its scopes as a list: a copy between threads is made anew anyway. */
      readonly principal: Omit<Principal, "scopes"> & { readonly scopes: readonly string[] };
      readonly provider: string;
      readonly generation: number;
      readonly beganMs: number;
      /** How long the worker may go by this answer. */
      readonly freshForMs: number;
    }
  | { readonly outcome: "gone" }
  | { readonly outcome: "unavailable"; readonly retryAfterMs: number };

/** Kinds of question. */
export const OPEN_SESSION = "browser-session-open";
export const BROWSER_ENDPOINT = "browser-endpoint";

/** Kinds of what is told to all workers. */
export const SESSIONS_ENDED = "browser-sessions-ended";
export const SESSION_MOVED = "browser-session-moved";

export interface SessionsEnded {
  readonly ids: readonly string[];
  readonly why: SessionEnd;
}

/** The session has a new id; whatever lives by the old one goes on by the new one. */
export interface SessionMoved {
  readonly from: string;
  readonly to: string;
}

/** What a worker asks on behalf of a browser. */
export type BrowserQuestion =
  /** Answered with a `ProblemAnswer`. */
  | {
      readonly endpoint: "sign-in" | "step-up" | "callback";
      readonly call: BrowserCall;
    }
  /** Answered with the URL of the provider's end of session, or undefined. */
  | { readonly endpoint: "sign-out"; readonly id: string; readonly returnTo: string }
  /** Answered with a `ShownSession`, or undefined. */
  | { readonly endpoint: "session"; readonly id: string };

/** What scripts may know. */
export interface ShownSession {
  /** What the person is called; empty when the provider does not say. */
  readonly name: string;
  readonly provider: string;
  readonly expiresInSeconds: number;
  readonly acr: string;
  /** When they signed in, seconds since the epoch; 0 when the provider does not say. */
  readonly authTime: number;
}
