import type { Clock, Random } from "@tidegate/clock";
import type { KeyedLimiter } from "@tidegate/limits";
import type { Database, Logger } from "@tidegate/service-kit";
import type { Letters } from "../mail/letters.ts";
import type { MailQueue } from "../mail/mail-queue.ts";
import { judgePassword, type PasswordProblem } from "./password-rules.ts";
import type { Passwords } from "./passwords.ts";
import type { PeopleTables } from "./people-schema.ts";
import type { PeopleStore } from "./people-store.ts";
import { emailKey, type Person } from "./person.ts";
import { createSecretToken, hashSecretToken, isSecretToken } from "./secret-token.ts";

export type ResetRequest = { readonly outcome: "asked" } | Wait;
export type ResetOutcome =
  | { readonly outcome: "changed"; readonly person: Person }
  | { readonly outcome: "refused"; readonly problem: PasswordProblem }
  /** Unknown, used, or too old: all the same to whoever has it. */
  | { readonly outcome: "expired" }
  | Wait;
/** `unreachable`: no address that was verified, or disabled. `full`: too many letters wait. */
export type SendOutcome = "sent" | "unreachable" | "full";
interface Wait {
  readonly outcome: "wait" | "busy";
  readonly retryAfterMs: number;
}

/** A new password for somebody who forgot theirs, by a link that is mailed to their verified address. */
export interface PasswordReset {
  /**
   * Mails a link, if the login names somebody who can be reached. Synchronous, the same answer in the same time for everybody:
   * whether there is such a person is looked up after the answer (ASVS 6.3.8).
   */
  request(ask: { readonly login: string; readonly network: string }): ResetRequest;
  /**
   * Mails a link because an administrator wants so: outside of the budgets of strangers, and the answer says what happened.
   * The old password works until the link is used.
   */
  sendTo(person: Person): Promise<SendOutcome>;
  /** Whose password a link changes, while it works. Spends nothing: mail scanners follow links too. */
  find(token: string): Promise<Person | undefined>;
  /** Spends the token and sets the password: exactly one of parallel calls wins. Sessions are the caller's to end. */
  redeem(token: string, password: string): Promise<ResetOutcome>;
  /** Resolves when no request is being looked up any more. */
  settled(): Promise<void>;
}

export function createPasswordReset({
  database,
  store,
  passwords,
  clock,
  random,
  logger,
  letters,
  mail,
  budget,
  mailBudget,
}: {
  readonly database: Database<PeopleTables>;
  readonly store: PeopleStore;
  readonly passwords: Passwords;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly letters: Letters;
  readonly mail: MailQueue;
  /** Requests per network. */
  readonly budget: KeyedLimiter;
  /** Letters per person and per mailbox. */
  readonly mailBudget: KeyedLimiter;
}): PasswordReset {
  const { query } = database;
  /** Bounded by MAX_LOOKUPS. */
  const lookups = new Set<Promise<void>>();

  const send = async (person: Person): Promise<SendOutcome> => {
    if (person.email === undefined || !person.isEmailVerified || person.isDisabled) {
      return "unreachable";
    }
    const token = createSecretToken(random);
    await query.transaction().execute(async (queries) => {
      await queries
        .insertInto("reset_tokens")
        .values({
          token_hash: hashSecretToken(token),
          person: person.id,
          expires_at_ms: clock.wallMs() + TOKEN_LIFETIME_MS,
        })
        .execute();
      // The newest few stay good: a stranger who asks in somebody's name must not kill the link they wait for.
      await queries
        .deleteFrom("reset_tokens")
        .where("person", "=", person.id)
        .where("token_hash", "not in", (newest) =>
          newest
            .selectFrom("reset_tokens")
            .select("token_hash")
            .where("person", "=", person.id)
            .orderBy("expires_at_ms", "desc")
            .limit(MAX_TOKENS_PER_PERSON),
        )
        .execute();
    });
    const { email, loginName } = person;
    const letter = letters.resetPassword({ email, loginName }, token);
    return mail.post("reset-password", letter) ? "sent" : "full";
  };

  const lookUp = async (login: string): Promise<void> => {
    try {
      const person = (await store.findByLogin(login))?.person;
      if (person?.email === undefined) return;
      if (!mailBudget.admits({ person: person.id, mailbox: emailKey(person.email) })) return;
      await send(person);
    } catch (error) {
      logger.error({ event: "reset.failed", err: error });
    }
  };

  const find = async (token: string): Promise<Person | undefined> => {
    if (!isSecretToken(token)) return undefined;
    const row = await query
      .selectFrom("reset_tokens")
      .select("person")
      .where("token_hash", "=", hashSecretToken(token))
      .where("expires_at_ms", ">", clock.wallMs())
      .executeTakeFirst();
    const person = row && (await store.find(row.person));
    return person?.isDisabled === true ? undefined : person;
  };

  return {
    request({ login, network }) {
      const decision = budget.take(network);
      if (!decision.isAdmitted) return { outcome: "wait", retryAfterMs: decision.retryAfterMs };
      if (lookups.size >= MAX_LOOKUPS) return { outcome: "busy", retryAfterMs: 1_000 };
      const lookup = lookUp(login).finally(() => lookups.delete(lookup));
      lookups.add(lookup);
      return { outcome: "asked" };
    },
    sendTo: send,
    find,
    async redeem(token, password) {
      const person = await find(token);
      if (person === undefined) return { outcome: "expired" };
      const problem = judgePassword(password, {
        names: [person.loginName, person.displayName, person.email],
      });
      if (problem !== undefined) return { outcome: "refused", problem };
      const hashing = passwords.hash(password);
      if (hashing === undefined) return { outcome: "busy", retryAfterMs: 3_000 };
      const passwordHash = await hashing;
      // The token goes in one statement; of parallel requests the database gives it to one.
      const { numDeletedRows } = await query
        .deleteFrom("reset_tokens")
        .where("token_hash", "=", hashSecretToken(token))
        .where("expires_at_ms", ">", clock.wallMs())
        .executeTakeFirstOrThrow();
      if (numDeletedRows === 0n) return { outcome: "expired" };
      await store.setPasswordHash(person.id, passwordHash);
      return { outcome: "changed", person };
    },
    async settled() {
      await Promise.all(lookups);
    },
  };
}

const TOKEN_LIFETIME_MS = 30 * 60_000;
const MAX_TOKENS_PER_PERSON = 3;
/** Requests that are answered but not yet looked up; each takes milliseconds. When full, everybody is told to wait. */
const MAX_LOOKUPS = 64;
