import {
  createEventTokenVerifier,
  type EventInvalidWhy,
  type EventTokenVerifier,
  type EventTokenVerifierOptions,
} from "./event-token.ts";
import { isJsonObject, type JsonObject } from "./json-object.ts";
import { readNumericDate } from "./numeric-date.ts";

/** What a provider says with a logout token: a session of somebody ended, or all of them. */
export interface Logout {
  /** Names the report; the same one twice is a replay. */
  readonly tokenId: string;
  /** When it stops being acceptable, seconds since the epoch: how long `tokenId` has to be remembered. */
  readonly expiresSeconds: number;
  /** When the provider said so, seconds since the epoch. */
  readonly atSeconds: number;
  /** Empty when only a session is named. */
  readonly subject: string;
  /** Empty when all sessions of `subject` ended. */
  readonly sessionId: string;
}

/** Checks logout tokens (OpenID Connect Back-Channel Logout 1.0 §2.4, §2.6). */
export function createLogoutTokenVerifier(
  options: EventTokenVerifierOptions,
): EventTokenVerifier<Logout> {
  return createEventTokenVerifier(options, (payload, nowSeconds) =>
    readLogout(payload, { nowSeconds, toleranceSeconds: options.clockToleranceSeconds }),
  );
}

function readLogout(
  payload: JsonObject,
  { nowSeconds, toleranceSeconds }: { nowSeconds: number; toleranceSeconds: number },
): Logout | EventInvalidWhy {
  const { events, sub, sid, jti } = payload;
  // §2.4: an ID token has a nonce. Taken for a logout token, one that leaked would sign its owner out.
  if (Object.hasOwn(payload, "nonce")) return "claims";
  if (!isJsonObject(events) || !isJsonObject(events[LOGOUT_EVENT])) return "claims";
  if (typeof jti !== "string" || jti === "" || jti.length > MAX_NAME_LENGTH) return "claims";
  const subject = readName(sub);
  const sessionId = readName(sid);
  if (subject === undefined || sessionId === undefined) return "claims";
  if (subject === "" && sessionId === "") return "claims";
  const issuedSeconds = readNumericDate(payload["iat"]);
  if (issuedSeconds === undefined) return "claims";
  // Providers of before the final text leave `exp` out; the token is then as short-lived as §2.4 wants it to be.
  const exp = payload["exp"];
  const expiresSeconds =
    exp === undefined ? issuedSeconds + MAX_LIFETIME_SECONDS : readNumericDate(exp);
  if (expiresSeconds === undefined) return "claims";
  if (expiresSeconds - issuedSeconds > MAX_LIFETIME_SECONDS) return "untimely";
  if (nowSeconds >= expiresSeconds + toleranceSeconds) return "untimely";
  if (issuedSeconds > nowSeconds + toleranceSeconds) return "untimely";
  return {
    tokenId: jti,
    expiresSeconds: Math.ceil(expiresSeconds + toleranceSeconds),
    // Never later than now: a provider with a fast clock must not refuse sign-ins that are still to come.
    atSeconds: Math.floor(Math.min(issuedSeconds, nowSeconds)),
    subject,
    sessionId,
  };
}

const LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout";

/** §2.4 wants at most two minutes. Ten more seconds are a provider's own rounding. */
const MAX_LIFETIME_SECONDS = 130;

/** OpenID Connect Core §2 ends `sub` at 255 characters. */
const MAX_NAME_LENGTH = 255;

const readName = (value: unknown): string | undefined => {
  if (value === undefined) return "";
  return typeof value === "string" && value !== "" && value.length <= MAX_NAME_LENGTH
    ? value
    : undefined;
};
