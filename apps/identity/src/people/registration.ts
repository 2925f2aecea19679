import type { KeyedLimiter } from "@tidegate/limits";
import { judgePassword, type PasswordProblem } from "./password-rules.ts";
import type { Passwords } from "./passwords.ts";
import type { PeopleStore } from "./people-store.ts";
import { parseEmail, parseLoginName, type Person } from "./person.ts";

/** What is wrong with a registration, by field. */
export interface RegistrationProblems {
  readonly loginName?: "shape" | "taken";
  readonly email?: "shape";
  readonly password?: PasswordProblem;
}

export type RegistrationOutcome =
  | { readonly outcome: "registered"; readonly person: Person }
  | { readonly outcome: "refused"; readonly problems: RegistrationProblems }
  | { readonly outcome: "wait" | "busy"; readonly retryAfterMs: number }
  | { readonly outcome: "closed" };

/**
 * Makes accounts. That a login name is taken has to be told, so it is told only so many times per network and hour; that an
 * e-mail address has an account is never told here, only to whoever reads its mail.
 */
export interface Registration {
  readonly isOpen: boolean;
  register(form: {
    readonly loginName: string;
    readonly email: string;
    readonly password: string;
    readonly network: string;
  }): Promise<RegistrationOutcome>;
}

export function createRegistration({
  store,
  passwords,
  budget,
  isOpen,
  maxPeople = MAX_PEOPLE,
}: {
  readonly store: PeopleStore;
  readonly passwords: Passwords;
  /** Registrations per network. */
  readonly budget: KeyedLimiter;
  readonly isOpen: boolean;
  readonly maxPeople?: number;
}): Registration {
  return {
    isOpen,
    async register(form) {
      if (!isOpen) return { outcome: "closed" };
      const loginName = parseLoginName(form.loginName);
      const email = parseEmail(form.email);
      const problem = judgePassword(form.password, { names: [loginName, email] });
      if (loginName === undefined || email === undefined || problem !== undefined) {
        const problems = {
          ...(loginName === undefined && { loginName: "shape" as const }),
          ...(email === undefined && { email: "shape" as const }),
          ...(problem !== undefined && { password: problem }),
        };
        return { outcome: "refused", problems };
      }
      // From here on the answer tells whether a name exists.
      const decision = budget.take(form.network);
      if (!decision.isAdmitted) return { outcome: "wait", retryAfterMs: decision.retryAfterMs };
      if ((await store.findByLoginName(loginName)) !== undefined) return TAKEN;
      if ((await store.count()) >= maxPeople) return { outcome: "closed" };
      const hashing = passwords.hash(form.password);
      if (hashing === undefined) return { outcome: "busy", retryAfterMs: 3_000 };
      const person = await store.create({ loginName, email, passwordHash: await hashing });
      return person === undefined ? TAKEN : { outcome: "registered", person };
    },
  };
}

const TAKEN: RegistrationOutcome = { outcome: "refused", problems: { loginName: "taken" } };
/** About 100 MB of database. When reached, registration is closed; an administrator can still make people. */
const MAX_PEOPLE = 100_000;
