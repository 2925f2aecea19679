import { createHashingPool, type DeriveKey } from "@tidegate/auth";
import type { Clock, Random } from "@tidegate/clock";
import { createKeyedLimiter } from "@tidegate/limits";
import type { Database, Logger } from "@tidegate/service-kit";
import { createLetters, type Letters } from "../mail/letters.ts";
import type { MailQueue } from "../mail/mail-queue.ts";
import { Devices } from "./devices.ts";
import { createEmailVerification, type EmailVerification } from "./email-verification.ts";
import { sweepMailedSecrets } from "./mailed-secrets.ts";
import { createPasswordReset, type PasswordReset } from "./password-reset.ts";
import { createPasswords, type Passwords } from "./passwords.ts";
import type { PeopleTables } from "./people-schema.ts";
import { PeopleStore } from "./people-store.ts";
import { createRegistration, type Registration } from "./registration.ts";
import { SignInBackOff } from "./sign-in-back-off.ts";
import { createSignIn, type SignIn } from "./sign-in.ts";

/** Everything about people that pages, the provider, Basic and administrators need. */
export interface People {
  readonly store: PeopleStore;
  readonly passwords: Passwords;
  readonly signIn: SignIn;
  readonly devices: Devices;
  readonly registration: Registration;
  readonly verification: EmailVerification;
  readonly reset: PasswordReset;
  readonly letters: Letters;
  readonly mail: MailQueue;
  /** Removes what has expired. */
  sweep(): Promise<void>;
}

export interface PeopleOptions {
  readonly database: Database<PeopleTables>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly mail: MailQueue;
  /** Where the pages are, without a slash at the end. */
  readonly publicUrl: string;
  readonly isRegistrationOpen: boolean;
  /** The platform's scrypt unless a test counts. */
  readonly deriveKey?: DeriveKey;
}

export function createPeople(options: PeopleOptions): People {
  const { database, clock, random, logger, mail, publicUrl } = options;
  const store = new PeopleStore({ database, clock, random });
  // One pool for everything that hashes: sign-in, Basic, registration, changes and resets together.
  const pool = createHashingPool();
  const passwords = createPasswords({
    pool,
    random,
    ...(options.deriveKey && { deriveKey: options.deriveKey }),
  });
  const devices = new Devices({ database, clock, random });
  const letters = createLetters({ publicUrl });
  const limiterOf = (...definitions: Parameters<typeof createKeyedLimiter>[0]["definitions"]) =>
    createKeyedLimiter({ definitions, clock, random });
  const mailBudget = limiterOf(perHour("person", 5), perHour("mailbox", 5));
  return {
    store,
    passwords,
    devices,
    letters,
    mail,
    sweep: () => sweepMailedSecrets({ database, clock }),
    signIn: createSignIn({
      store,
      passwords,
      devices,
      backOff: new SignInBackOff({ database, clock }),
    }),
    registration: createRegistration({
      store,
      passwords,
      budget: limiterOf(perHour("network", 10)),
      isOpen: options.isRegistrationOpen,
    }),
    verification: createEmailVerification({
      database,
      clock,
      random,
      letters,
      mail,
      budget: mailBudget,
    }),
    reset: createPasswordReset({
      database,
      store,
      passwords,
      clock,
      random,
      logger,
      letters,
      mail,
      budget: limiterOf(perHour("network", 10)),
      mailBudget,
    }),
  };
}

/** All at once if need be, then evenly over the hour. In memory: a restart is not something that a stranger can cause. */
const perHour = (name: string, count: number) =>
  ({ kind: "bucket", name, count, seconds: 3_600, burst: count, maxKeys: 10_000 }) as const;
