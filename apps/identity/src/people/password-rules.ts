import { isCommonPassword } from "./common-passwords.ts";

/** Why a password cannot be chosen. */
export type PasswordProblem = "too-short" | "too-long" | "common" | "personal" | "repeated";

/** NIST SP 800-63B §3.1.1.2 asks for 8 at least where a second factor can be demanded; counted in characters, not bytes. */
export const MIN_PASSWORD_LENGTH = 8;
/** NIST asks that 64 are possible. Four times that holds any passphrase and keeps what is hashed small. */
export const MAX_PASSWORD_LENGTH = 256;

/**
 * A password in the one form that is hashed and compared: NFKC (NIST SP 800-63B §3.1.1.2), so that `é` typed on one
 * keyboard is `é` typed on another. Nothing is trimmed or cut.
 */
export const normalisePassword = (password: string): string =>
  password.toWellFormed().normalize("NFKC");

/** Whether a password is worth hashing at all: one that is too long was never accepted. */
export const isPlausiblePassword = (password: string): boolean =>
  password.length > 0 && password.length <= MAX_PASSWORD_LENGTH * 4 && !isTooLong(password);

/**
 * Judges a password that somebody wants to choose. There are no rules about kinds of characters (NIST SP 800-63B §3.1.1.2 forbids
 * them: they make passwords worse); what attackers try first is refused instead.
 * @param about.names what is known of the person: login name, shown name, e-mail address
 */
export function judgePassword(
  password: string,
  about: { readonly names: readonly (string | undefined)[] },
): PasswordProblem | undefined {
  if (isTooLong(password)) return "too-long";
  const normal = normalisePassword(password);
  if (lengthOf(normal) < MIN_PASSWORD_LENGTH) return "too-short";
  const folded = normal.toLowerCase();
  if (new Set(folded).size < MIN_DISTINCT) return "repeated";
  if (isCommonPassword(folded) || isCommonPassword(withoutTail(folded))) return "common";
  if (isPersonal(folded, about.names)) return "personal";
  return undefined;
}

function isTooLong(password: string): boolean {
  // Before anything is normalised: the check must cost nothing for a megabyte, and one character may become 18.
  if (password.length > MAX_PASSWORD_LENGTH * 4) return true;
  return lengthOf(normalisePassword(password)) > MAX_PASSWORD_LENGTH;
}

/** In code points, as NIST SP 800-63B §3.1.1.2 counts. */
const lengthOf = (text: string): number => Array.from(text).length;

/** The name or address itself, whole or with some digits and signs around it. */
function isPersonal(folded: string, names: readonly (string | undefined)[]): boolean {
  const core = lettersOf(folded);
  return names
    .flatMap((name) => (name === undefined ? [] : [name, ...name.split("@")]))
    .map((name) => name.normalize("NFKC").toLowerCase())
    .some(
      (name) =>
        name.length >= MIN_NAME_LENGTH &&
        (folded === name ||
          (core.length > 0 && core === lettersOf(name)) ||
          // Mostly the name: fewer than half of a good password's characters are something else.
          (folded.includes(name) && folded.length - name.length < MIN_PASSWORD_LENGTH / 2)),
    );
}

/** `password1!` is `password` to whoever guesses. */
const withoutTail = (folded: string): string => folded.replace(/[\d\p{P}\p{S}]{1,4}$/u, "");
const lettersOf = (text: string): string => text.replaceAll(/[^\p{L}]/gu, "");

/** `aaaaaaaa` and `abababab`: fewer kinds of characters than this are tried at once. */
const MIN_DISTINCT = 4;
/** Shorter names are part of ordinary words. */
const MIN_NAME_LENGTH = 3;
