import type { Message } from "./mailer.ts";

/** Who a letter is for. */
export interface Recipient {
  readonly email: string;
  readonly loginName: string;
}

/** What people are written. Each letter says whom it is for, what happened, and what to do if it was not them. */
export interface Letters {
  /** @param code as it is typed */
  verifyEmail(to: Recipient, code: string): Message;
  /** The address belongs to this person already, and somebody claims it for another account. */
  emailTaken(to: Recipient): Message;
  resetPassword(to: Recipient, token: string): Message;
  passwordChanged(to: Recipient): Message;
  /** To the address that was replaced. */
  emailChanged(to: Recipient): Message;
  newSignIn(to: Recipient, visit: { readonly device: string; readonly atMs: number }): Message;
  accountDeleted(to: Recipient): Message;
}

/** @param options.publicUrl where the pages are, without a slash at the end */
export function createLetters({ publicUrl }: { readonly publicUrl: string }): Letters {
  const site = new URL(publicUrl).host;
  const write = (to: Recipient, subject: string, ...paragraphs: readonly string[]): Message => ({
    to: to.email,
    subject: `[${site}] ${subject}`,
    text: [`Hello ${to.loginName},`, ...paragraphs, `— ${site}`].join("\n\n") + "\n",
  });
  const ifNotYou = `If this was not you, choose a new password at once: ${publicUrl}/reset`;
  return {
    verifyEmail: (to, code) =>
      write(
        to,
        "Your confirmation code",
        `this code confirms that mail to this address reaches you:`,
        `    ${code}`,
        `Type it at ${publicUrl}/verify within 30 minutes. Nobody will ever ask you for it.`,
        "If you did not ask for it, somebody mistyped their address; you need not do anything.",
      ),
    emailTaken: (to) =>
      write(
        to,
        "This address already has an account",
        "somebody, perhaps you, wants to use this address for another account. It stays with yours, and nothing has changed.",
        `If you forgot your password, choose a new one: ${publicUrl}/reset`,
      ),
    resetPassword: (to, token) =>
      write(
        to,
        "Choose a new password",
        "you, or somebody else, asked for a new password. To choose it, follow this link within 30 minutes; it works once:",
        `${publicUrl}/reset/open?token=${token}`,
        "If it was not you, ignore this letter: your password stays as it is.",
      ),
    passwordChanged: (to) =>
      write(
        to,
        "Your password was changed",
        "your password was changed, and your other sessions were ended.",
        ifNotYou,
      ),
    emailChanged: (to) =>
      write(
        to,
        "Your e-mail address was changed",
        "your account now has another e-mail address. You will get no further letters at this one.",
        "If this was not you, sign in, change your password and put your address back.",
      ),
    newSignIn: (to, { device, atMs }) =>
      write(
        to,
        "New sign-in to your account",
        `somebody has just signed in to your account with a browser that we have not seen before:`,
        `    ${device}, ${toReadable(atMs)}`,
        "If it was you, all is well.",
        ifNotYou,
      ),
    accountDeleted: (to) =>
      write(
        to,
        "Your account was deleted",
        "your account was deleted, as you asked. Nobody can sign in with it any more.",
      ),
  };
}

/** Such as `23 November 2026, 09:20 UTC`. */
const toReadable = (atMs: number): string =>
  `${new Intl.DateTimeFormat("en-GB", { dateStyle: "long", timeStyle: "short", timeZone: "UTC" }).format(atMs).replace(" at ", ", ")} UTC`;
