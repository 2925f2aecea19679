import { REASON } from "../judge/reason.ts";
import { refuseWith, type Refusal } from "../judge/refusal.ts";
import type { PenaltyDetail } from "../penalty/penalty-gate.ts";
import type { SessionEnding } from "./live-session.ts";

/** What a request is told whose session ended while it ran, as if it had come afterwards. */
export function refuseEnded(refusal: Refusal, ending: SessionEnding): void {
  switch (ending.kind) {
    case "revoked":
    case "identity-changed":
      refuseWith(refusal, REASON.session_revoked);
      break;
    case "expired":
      refuseWith(refusal, REASON.credential_invalid);
      break;
    case "penalised": {
      const { strikes, retryAfterMs, reauthenticate } = ending;
      const detail: PenaltyDetail = { strikes, reauthenticationRequired: reauthenticate };
      refuseWith(refusal, REASON.penalised, { retryAfterMs, detail });
      break;
    }
  }
}
