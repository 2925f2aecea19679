import type { Logger } from "@tidegate/service-kit";

/** Why a session ended. */
export type EndReason =
  | "signed-out"
  | "ended-by-person"
  | "ended-by-administrator"
  | "password-changed"
  | "person-disabled"
  | "person-deleted"
  | "another-person"
  | "too-many-sessions"
  | "refresh-token-reused"
  | "expired";

/**
 * The audit trail: one function per fact about identity, one line each. None of them throws, and none is given a password,
 * token, code or cookie.
 */
export interface IdentityEvents {
  signedIn(facts: { personId: string; network: string; acr: string; clientId?: string }): void;
  signInRefused(facts: { network: string; why: "refused" | "wait" | "busy" }): void;
  consentGiven(facts: { personId: string; clientId: string; scopes: readonly string[] }): void;
  interactionCancelled(facts: { clientId: string }): void;
  sessionEnded(facts: { personId: string; sessionUid: string; reason: EndReason }): void;
  refreshTokenReused(facts: { personId: string; clientId: string }): void;
  tokenIssued(facts: { personId?: string | undefined; clientId: string; grant: string }): void;
  clientRefused(facts: { endpoint: string; clientId?: string | undefined; error: string }): void;
  logoutDelivered(facts: { clientId: string; personId: string; attempts: number }): void;
  logoutUndelivered(facts: {
    clientId: string;
    personId: string;
    attempts: number;
    isGivenUp: boolean;
    reason: string;
  }): void;
  basicVerified(facts: { clientId: string; personId: string; network: string }): void;
  basicRefused(facts: { clientId: string; network: string; why: string }): void;
  administered(facts: { action: string; personId?: string | undefined; isDone: boolean }): void;
  keysChanged(facts: { kids: readonly string[] }): void;
  /** What oidc-provider said about itself while it was loaded, and what that means here. */
  libraryNoticed(facts: { notice: string; meaning: string }): void;
  /** A bug or broken machine below the protocol. */
  failed(facts: { what: string; error: unknown }): void;
}

export function createIdentityEvents(logger: Logger): IdentityEvents {
  const info = (event: string) => (facts: object) => logger.info({ event, ...facts });
  const warn = (event: string) => (facts: object) => logger.warn({ event, ...facts });
  return {
    signedIn: info("person.signed_in"),
    signInRefused: info("person.sign_in_refused"),
    consentGiven: info("consent.given"),
    interactionCancelled: info("interaction.cancelled"),
    sessionEnded: info("session.ended"),
    refreshTokenReused: warn("refresh_token.reused"),
    tokenIssued: info("token.issued"),
    clientRefused: info("client.refused"),
    logoutDelivered: info("logout.delivered"),
    logoutUndelivered: warn("logout.undelivered"),
    basicVerified: info("basic.verified"),
    basicRefused: info("basic.refused"),
    administered: info("people.administered"),
    keysChanged: info("keys.changed"),
    libraryNoticed: info("library.noticed"),
    failed: ({ what, error }) => logger.error({ event: "identity.failed", what, err: error }),
  };
}
