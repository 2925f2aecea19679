/** Somebody who can sign in here. */
export interface Person {
  /** The `sub` of every token: random, never given to anybody else, also not after the person is gone (OpenID Connect Core §2). */
  readonly id: string;
  /** What they sign in with; unique; lower case. May pass to somebody else after deletion: never a key to anything. */
  readonly loginName: string;
  /** How they are shown to others; not unique. */
  readonly displayName: string;
  readonly email: string | undefined;
  /** Whether they have shown that mail to this address reaches them. Only then is it used for anything but showing it. */
  readonly isEmailVerified: boolean;
  readonly isDisabled: boolean;
  readonly createdAtMs: number;
}

/**
 * Reads a login name: 3 to 32 of `a-z 0-9 . _ -`, beginning and ending with a letter or digit; capitals are taken as small.
 * ASCII alone, so that nobody can look like somebody else by another alphabet; no `@`, so that it is never an e-mail address.
 * @returns undefined when it is none
 */
export function parseLoginName(text: string): string | undefined {
  const name = text.trim().toLowerCase();
  return LOGIN_NAME.test(name) ? name : undefined;
}

/**
 * Reads an e-mail address as people have them: one `@`, a dotted domain, ASCII, no quotes, comments or white space. Much that RFC 5321
 * allows is refused, because an address is written into mail headers and only the mail that arrives proves it anyway.
 * @returns as given but trimmed; undefined when it is none
 */
export function parseEmail(text: string): string | undefined {
  const email = text.trim();
  return email.length <= MAX_EMAIL_LENGTH && EMAIL.test(email) ? email : undefined;
}

/** What addresses are compared by. Mail systems ignore the case of letters, though RFC 5321 §2.4 lets them do otherwise. */
export const emailKey = (email: string): string => email.toLowerCase();

/**
 * Reads the name shown to others: 1 to 64 characters of any script. Control and direction characters are refused: they would let
 * a name rearrange the text around it.
 */
export function parseDisplayName(text: string): string | undefined {
  const name = text.normalize("NFC").trim().replaceAll(/\s+/gu, " ");
  const length = Array.from(name).length;
  return length >= 1 && length <= 64 && !UNSHOWABLE.test(name) ? name : undefined;
}

const LOGIN_NAME = /^[a-z0-9][a-z0-9._-]{1,30}[a-z0-9]$/;
const EMAIL =
  /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/;
/** RFC 5321 §4.5.3.1.3: a path has at most 256 octets, two of which are its brackets. */
const MAX_EMAIL_LENGTH = 254;
/** Control, format (direction, zero width), private, unassigned, and halves of surrogate pairs. The joiners of emoji and Indic scripts stay. */
const UNSHOWABLE = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Cs}]/u;
