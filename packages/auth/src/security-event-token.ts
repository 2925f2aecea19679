import {
  createEventTokenVerifier,
  type EventInvalidWhy,
  type EventTokenVerifier,
  type EventTokenVerifierOptions,
} from "./event-token.ts";
import { isJsonObject, type JsonObject } from "./json-object.ts";
import { readNumericDate } from "./numeric-date.ts";

/** What a transmitter of shared signals says. Only ended sessions come to something; the rest is acknowledged. */
export interface SecurityEvent {
  /** Names the report; the same one twice is a replay. */
  readonly tokenId: string;
  /** Until when `tokenId` has to be remembered, seconds since the epoch. */
  readonly expiresSeconds: number;
  /** Undefined when it reports something that we do not act upon, such as a stream's own check. */
  readonly sessionRevoked: RevokedSubject | undefined;
}

/** Whose sessions ended (CAEP 1.0 §3.1). */
export interface RevokedSubject {
  /** Who issued what is revoked; empty when the subject names a session only, which is then the transmitter's own. */
  readonly issuer: string;
  /** Empty when only a session is named. */
  readonly subject: string;
  /** Empty when all sessions of `subject` ended. */
  readonly sessionId: string;
  /** When it happened, seconds since the epoch; never later than now. */
  readonly atSeconds: number;
}

/** Checks security event tokens (RFC 8417, CAEP 1.0). */
export function createSecurityEventVerifier(
  options: EventTokenVerifierOptions,
): EventTokenVerifier<SecurityEvent> {
  return createEventTokenVerifier(options, (payload, nowSeconds) =>
    readEvent(payload, { nowSeconds, toleranceSeconds: options.clockToleranceSeconds }),
  );
}

function readEvent(
  payload: JsonObject,
  { nowSeconds, toleranceSeconds }: { nowSeconds: number; toleranceSeconds: number },
): SecurityEvent | EventInvalidWhy {
  const { events, jti } = payload;
  if (typeof jti !== "string" || jti === "" || jti.length > MAX_NAME_LENGTH) return "claims";
  // RFC 8417 §2.2: what a nonce or `htm` belongs to is another kind of token.
  if (Object.hasOwn(payload, "nonce") || Object.hasOwn(payload, "htm")) return "claims";
  if (!isJsonObject(events)) return "claims";
  const types = Object.keys(events);
  if (types.length === 0 || !types.every((type) => isJsonObject(events[type]))) return "claims";
  const issuedSeconds = readNumericDate(payload["iat"]);
  if (issuedSeconds === undefined) return "claims";
  // RFC 8417 §2.2: such tokens have no `exp`, and one that has is held to it.
  const exp = payload["exp"];
  if (exp !== undefined) {
    const expiresSeconds = readNumericDate(exp);
    if (expiresSeconds === undefined) return "claims";
    if (nowSeconds >= expiresSeconds + toleranceSeconds) return "untimely";
  }
  if (issuedSeconds > nowSeconds + toleranceSeconds) return "untimely";
  if (issuedSeconds < nowSeconds - MAX_AGE_SECONDS) return "untimely";
  const told = {
    tokenId: jti,
    expiresSeconds: Math.ceil(issuedSeconds + MAX_AGE_SECONDS),
  };
  const event = events[SESSION_REVOKED];
  if (!isJsonObject(event)) return { ...told, sessionRevoked: undefined };
  // CAEP 1.0 §3: the subject stands in `sub_id`; drafts had it inside of the event.
  const named = readSubject(payload["sub_id"] ?? event["subject"]);
  if (named === undefined) return "claims";
  const stamp = event["event_timestamp"];
  const happenedSeconds = stamp === undefined ? issuedSeconds : readNumericDate(stamp);
  if (happenedSeconds === undefined) return "claims";
  const atSeconds = Math.floor(Math.min(happenedSeconds, nowSeconds));
  return { ...told, sessionRevoked: { ...named, atSeconds } };
}

/** RFC 9493 §3.2.4 `iss_sub`, §3.2.5 `opaque`; SSF 1.0 §3.2 `complex`. Anything else names nobody that we know. */
function readSubject(value: unknown): Omit<RevokedSubject, "atSeconds"> | undefined {
  if (!isJsonObject(value)) return undefined;
  switch (value["format"]) {
    case "iss_sub": {
      const issuer = readName(value["iss"]);
      const subject = readName(value["sub"]);
      if (issuer === undefined || subject === undefined) return undefined;
      return { issuer, subject, sessionId: "" };
    }
    case "opaque": {
      const sessionId = readName(value["id"]);
      return sessionId === undefined ? undefined : { issuer: "", subject: "", sessionId };
    }
    case "complex":
      return readComplex(value);
    default:
      return undefined;
  }
}

/**
 * A session beside a user narrows it to that session. What else may be named (device, tenant, group) would narrow it
 * further, in ways that we cannot see; ending more than was meant is refused rather than guessed.
 */
function readComplex(value: JsonObject): Omit<RevokedSubject, "atSeconds"> | undefined {
  for (const name of Object.keys(value))
    if (name !== "format" && name !== "user" && name !== "session") return undefined;
  const user = value["user"] === undefined ? NOBODY : readMember(value["user"], "iss_sub");
  const session = value["session"] === undefined ? NOBODY : readMember(value["session"], "opaque");
  if (user === undefined || session === undefined) return undefined;
  if (user === NOBODY && session === NOBODY) return undefined;
  return { issuer: user.issuer, subject: user.subject, sessionId: session.sessionId };
}

function readMember(
  value: unknown,
  format: "iss_sub" | "opaque",
): Omit<RevokedSubject, "atSeconds"> | undefined {
  return isJsonObject(value) && value["format"] === format ? readSubject(value) : undefined;
}

const NOBODY: Omit<RevokedSubject, "atSeconds"> = { issuer: "", subject: "", sessionId: "" };

const SESSION_REVOKED = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";

/** A transmitter may deliver late after an outage; what is older than a day has no session left to end. */
const MAX_AGE_SECONDS = 86_400;

const MAX_NAME_LENGTH = 255;

const readName = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" && value.length <= MAX_NAME_LENGTH ? value : undefined;
