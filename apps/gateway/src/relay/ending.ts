import { toCloseReason, VIOLATIONS, type Violation } from "@tidegate/wire";
import { REASON, REASON_BY_CODE } from "../judge/reason.ts";
import type { Refusal } from "../judge/refusal.ts";
import type { PenaltyDetail } from "../penalty/penalty-gate.ts";
import type { SessionEnding } from "../session/live-session.ts";

/** Which set of close codes a route speaks. */
export type CloseProfile = "tidegate" | "standard";

/** A close code and its reason text. */
export interface Closing {
  readonly code: number;
  readonly reason: string;
}

/** Why a relay ends, and what each side is told. */
export interface Ending {
  readonly endedBy: "client" | "upstream" | "gateway";
  readonly toClient: Closing;
  readonly toUpstream: Closing;
}

/** What an upstream is told when we end: the person is gone, and why is none of its business. */
const GOING_AWAY: Closing = { code: 1001, reason: "" };

/** A message was refused by a policy, or a handshake by any step of the road. */
export function endingOfRefusal(refusal: Readonly<Refusal>, profile: CloseProfile): Ending {
  const kind = REASON_BY_CODE[refusal.reason] ?? REASON_BY_CODE[REASON.overloaded]!;
  const isLimit = kind.closeCode === 4429 || kind.closeCode === 4503;
  const facts: Record<string, number> = {};
  // Whole seconds, upwards: who comes back after them must not be refused again for being early.
  if (isLimit) facts["retryAfter"] = Math.max(1, Math.ceil(refusal.retryAfterMs / 1_000));
  if (kind.closeCode === 4429) facts["reauthenticate"] = mustSignIn(refusal) ? 1 : 0;
  return byGateway({ code: kind.closeCode, reason: toCloseReason(kind.closeWord, facts) }, profile);
}

/** Whether waiting is not enough for a boxed caller. */
function mustSignIn({ reason, detail }: Readonly<Refusal>): boolean {
  return (
    reason === REASON.penalised &&
    (detail as PenaltyDetail | undefined)?.reauthenticationRequired === true
  );
}

/**
 * The upstream refused the handshake, and the client is told by a close code.
 * @param answer.retryAfterSeconds what it said of waiting; undefined when nothing
 * @returns undefined for an answer that no close code says
 */
export function endingOfUpstreamRefusal(
  answer: { readonly status: number; readonly retryAfterSeconds: number | undefined },
  profile: CloseProfile,
): Ending | undefined {
  const { retryAfterSeconds: retryAfter = UNSAID_WAIT_SECONDS } = answer;
  const closing = ((): Closing | undefined => {
    switch (answer.status) {
      case 401:
        return { code: 4401, reason: toCloseReason("credential") };
      case 403:
        return { code: 4403, reason: toCloseReason("forbidden") };
      case 404:
      case 410:
        return { code: 4404, reason: toCloseReason("gone") };
      case 429:
        return { code: 4429, reason: toCloseReason("limit", { retryAfter, reauthenticate: 0 }) };
      case 503:
        return { code: 4503, reason: toCloseReason("shedding", { retryAfter }) };
      default:
        return undefined;
    }
  })();
  if (closing === undefined) return undefined;
  return { ...byGateway(closing, profile), endedBy: "upstream" };
}

/** How long a client waits that an upstream sent away without a word about it. */
const UNSAID_WAIT_SECONDS = 5;

/** A message was over a limit, and there was no room in the penalty box. */
export const endingOfLimit = (profile: CloseProfile): Ending =>
  byGateway(
    { code: 4429, reason: toCloseReason("limit", { retryAfter: 30, reauthenticate: 0 }) },
    profile,
  );

/** A client broke the framing or a bound of ours. */
export function endingOfClientViolation(violation: Violation, profile: CloseProfile): Ending {
  const code = VIOLATIONS[violation];
  const toClient =
    code === 1009
      ? profiled({ code: 4413, reason: toCloseReason("message-too-big") }, profile)
      : { code, reason: toCloseReason(violation) };
  return { endedBy: "gateway", toClient, toUpstream: GOING_AWAY };
}

/** An upstream did. The client only learns that something is wrong behind us. */
export function endingOfUpstreamViolation(violation: Violation): Ending {
  return {
    endedBy: "gateway",
    toClient: { code: 1011, reason: toCloseReason("upstream-failed") },
    toUpstream: { code: VIOLATIONS[violation], reason: toCloseReason(violation) },
  };
}

/** The upstream's connection ended without a close frame. */
export const UPSTREAM_LOST: Ending = {
  endedBy: "upstream",
  toClient: { code: 1011, reason: toCloseReason("upstream-lost") },
  toUpstream: GOING_AWAY,
};

/** The client's connection ended without a close frame; nobody is left to be told 1006, which is what it means. */
export const CLIENT_LOST: Ending = {
  endedBy: "client",
  toClient: { code: 1006, reason: "" },
  toUpstream: GOING_AWAY,
};

export const endingOfDrain = (profile: CloseProfile): Ending =>
  byGateway({ code: 4512, reason: toCloseReason("draining", { retryAfter: 2 }) }, profile);

/** The right to go on ended while the socket was open. */
export function endingOfSession(ending: SessionEnding, profile: CloseProfile): Ending {
  switch (ending.kind) {
    case "revoked":
      return byGateway({ code: 4410, reason: toCloseReason("session-revoked") }, profile);
    case "identity-changed":
      return byGateway({ code: 4403, reason: toCloseReason("identity-changed") }, profile);
    case "expired":
      return byGateway({ code: 4401, reason: toCloseReason("credential") }, profile);
    case "penalised": {
      const retryAfter = Math.max(1, Math.ceil(ending.retryAfterMs / 1_000));
      const reauthenticate = ending.reauthenticate ? 1 : 0;
      const reason = toCloseReason("penalty", { retryAfter, reauthenticate });
      return byGateway({ code: 4429, reason }, profile);
    }
  }
}

/** One side takes no bytes. */
export const endingOfSlowReader = (profile: CloseProfile): Ending =>
  byGateway({ code: 4503, reason: toCloseReason("slow-reader") }, profile);

/** The client said nothing for too long, pongs included. */
export const ENDING_OF_SILENCE: Ending = {
  endedBy: "gateway",
  toClient: { code: 1001, reason: toCloseReason("idle") },
  toUpstream: GOING_AWAY,
};

/** Cut by us without a word: the process ends. */
export const ENDING_OF_CUT: Ending = {
  endedBy: "gateway",
  toClient: { code: 1006, reason: "" },
  toUpstream: GOING_AWAY,
};

function byGateway(closing: Closing, profile: CloseProfile): Ending {
  return { endedBy: "gateway", toClient: profiled(closing, profile), toUpstream: GOING_AWAY };
}

function profiled(closing: Closing, profile: CloseProfile): Closing {
  return profile === "tidegate"
    ? closing
    : { ...closing, code: STANDARD_CODES.get(closing.code) ?? 1008 };
}

/**
 * Our codes in RFC 6455's and the registry's words, for clients that know no others. What is not here is
 * 1008 (policy violation): do not come back without a change.
 */
const STANDARD_CODES: ReadonlyMap<number, number> = new Map([
  [4413, 1009],
  [4429, 1013],
  [4501, 1012],
  [4503, 1013],
  [4510, 1012],
  [4512, 1012],
]);
