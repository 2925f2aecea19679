import type { Devices } from "./devices.ts";
import type { Passwords } from "./passwords.ts";
import type { PeopleStore } from "./people-store.ts";
import { emailKey, type Person } from "./person.ts";
import type { SignInBackOff } from "./sign-in-back-off.ts";

/** What somebody typed, and where. */
export interface SignInAttempt {
  /** A login name or a verified e-mail address. */
  readonly login: string;
  readonly password: string;
  /** The address, or the prefix of an IPv6 one. */
  readonly network: string;
  /** What the browser's device cookie holds; none for calls that are not from a browser. */
  readonly deviceTokens: readonly string[];
}

/**
 * `refused` is all that is told about wrong names, wrong passwords and disabled people: whoever could tell them apart
 * could make a list of who has an account (ASVS 6.3.8).
 */
export type SignInOutcome =
  | { readonly outcome: "accepted"; readonly person: Person }
  | { readonly outcome: "refused" }
  | { readonly outcome: "wait"; readonly retryAfterMs: number }
  | { readonly outcome: "busy"; readonly retryAfterMs: number };

/** Checks passwords of people: for the sign-in page, for Basic, and before changes that ask for the password again. */
export interface SignIn {
  attempt(attempt: SignInAttempt): Promise<SignInOutcome>;
}

export function createSignIn({
  store,
  passwords,
  backOff,
  devices,
}: {
  readonly store: PeopleStore;
  readonly passwords: Passwords;
  readonly backOff: SignInBackOff;
  readonly devices: Devices;
}): SignIn {
  return {
    async attempt({ login, password, network, deviceTokens }) {
      // Longer than any name: it is nobody's, and would only be carried around.
      if (login.length > MAX_LOGIN_LENGTH) return { outcome: "refused" };
      const found = await store.findByLogin(login);
      const admission = await backOff.admit({
        account: found?.person.id ?? emailKey(login.trim()),
        network,
        knownDevice: found && (await devices.findKnown(found.person.id, deviceTokens)),
      });
      if (!admission.isAdmitted) return { outcome: "wait", retryAfterMs: admission.retryAfterMs };
      const verdict = passwords.verify(password, found?.passwordHash);
      if (verdict === undefined) {
        await admission.takeBack();
        return { outcome: "busy", retryAfterMs: BUSY_RETRY_AFTER_MS };
      }
      if (!(await verdict) || found === undefined) return { outcome: "refused" };
      // Read again: while the hash was made the person may have been disabled, deleted, or given another password.
      const now = await store.findWithHash(found.person.id);
      if (now?.passwordHash !== found.passwordHash || now.person.isDisabled) {
        return { outcome: "refused" };
      }
      await admission.succeeded();
      return { outcome: "accepted", person: now.person };
    },
  };
}

/** An e-mail address has at most 254 characters. */
const MAX_LOGIN_LENGTH = 254;
/** The pool's queue is about three seconds of work. */
const BUSY_RETRY_AFTER_MS = 3_000;
