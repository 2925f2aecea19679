import { createHash, timingSafeEqual } from "node:crypto";
import type { Clock, Random } from "@tidegate/clock";
import type { Database } from "@tidegate/service-kit";
import type { KeyedLimiter } from "@tidegate/limits";
import type { Letters } from "../mail/letters.ts";
import type { MailQueue } from "../mail/mail-queue.ts";
import type { PeopleTables } from "./people-schema.ts";
import { emailKey, type Person } from "./person.ts";

/** `taken`: only told to somebody who has read mail at that address. */
export type CodeOutcome = "verified" | "wrong" | "expired" | "taken";

/** What an address waits for. */
export interface PendingEmail {
  readonly email: string;
  readonly expiresAtMs: number;
}

/** Proof that mail to an address reaches a person: a code of eight digits, typed by the person while signed in. */
export interface EmailVerification {
  /**
   * Mails a code to an address that the person claims; an earlier code is forgotten.
   * @returns false when too many were sent lately, or the mail queue is full
   */
  begin(person: Person, email: string): Promise<boolean>;
  pending(personId: string): Promise<PendingEmail | undefined>;
  /** Judges what was typed; the person's address becomes the verified one. Counts tries, also of parallel requests. */
  confirm(personId: string, code: string): Promise<CodeOutcome>;
}

export function createEmailVerification({
  database,
  clock,
  random,
  letters,
  mail,
  budget,
}: {
  readonly database: Database<PeopleTables>;
  readonly clock: Clock;
  readonly random: Random;
  readonly letters: Letters;
  readonly mail: MailQueue;
  /** Letters per person and per address; see `people.ts`. */
  readonly budget: KeyedLimiter;
}): EmailVerification {
  const { query } = database;

  const ownerOf = (email: string) =>
    query
      .selectFrom("people")
      .select(["id", "login_name", "email"])
      .where("email_key", "=", emailKey(email))
      .where("is_email_verified", "=", 1)
      .executeTakeFirst();

  return {
    async begin(person, email) {
      if (!budget.admits({ person: person.id, mailbox: emailKey(email) })) return false;
      const code = createCode(random);
      const row = {
        email,
        code_hash: hashCode(person.id, code),
        tries_left: MAX_TRIES,
        expires_at_ms: clock.wallMs() + CODE_LIFETIME_MS,
      };
      await query
        .insertInto("email_codes")
        .values({ person: person.id, ...row })
        .onConflict((conflict) => conflict.column("person").doUpdateSet(row))
        .execute();
      const owner = await ownerOf(email);
      const isTaken = owner !== undefined && owner.id !== person.id;
      // Whoever claims an address learns nothing here; its owner does. The code exists all the same, so that both ways look
      // alike on the page, and is known to nobody.
      return isTaken
        ? mail.post("email-taken", letters.emailTaken({ email, loginName: owner.login_name }))
        : mail.post(
            "verify-email",
            letters.verifyEmail({ email, loginName: person.loginName }, spaced(code)),
          );
    },

    async pending(personId) {
      const row = await query
        .selectFrom("email_codes")
        .select(["email", "expires_at_ms"])
        .where("person", "=", personId)
        .executeTakeFirst();
      return row && { email: row.email, expiresAtMs: row.expires_at_ms };
    },

    confirm: (personId, typed) =>
      query.transaction().execute(async (queries): Promise<CodeOutcome> => {
        const row = await queries
          .selectFrom("email_codes")
          .selectAll()
          .where("person", "=", personId)
          .executeTakeFirst();
        if (row === undefined || row.expires_at_ms <= clock.wallMs() || row.tries_left <= 0) {
          return "expired";
        }
        const code = typed.replaceAll(/[\s-]/g, "");
        if (!timingSafeEqual(hashCode(personId, code), row.code_hash)) {
          await queries
            .updateTable("email_codes")
            .set({ tries_left: row.tries_left - 1 })
            .where("person", "=", personId)
            .execute();
          return row.tries_left > 1 ? "wrong" : "expired";
        }
        await queries.deleteFrom("email_codes").where("person", "=", personId).execute();
        const owner = await queries
          .selectFrom("people")
          .select("id")
          .where("email_key", "=", emailKey(row.email))
          .where("is_email_verified", "=", 1)
          .where("id", "!=", personId)
          .executeTakeFirst();
        if (owner !== undefined) return "taken";
        await queries
          .updateTable("people")
          .set({ email: row.email, email_key: emailKey(row.email), is_email_verified: 1 })
          .where("id", "=", personId)
          .execute();
        return "verified";
      }),
  };
}

const CODE_LIFETIME_MS = 30 * 60_000;
/** Of 10^8 codes: a guesser who is also signed in as the person wins once in twenty million. */
const MAX_TRIES = 5;

/** Eight digits, all equally likely. */
function createCode(random: Random): string {
  for (;;) {
    const number = random.bytes(4).readUInt32BE();
    // The largest multiple of 10^8 in 32 bits; what lies above would favour some codes.
    if (number < 4_200_000_000) return String(number % 100_000_000).padStart(8, "0");
  }
}

const spaced = (code: string): string => `${code.slice(0, 4)} ${code.slice(4)}`;

/**
 * Bound to the person. Eight digits can be searched by whoever reads the database within the half hour, who then could
 * confirm an address of somebody whose session they must have as well.
 */
const hashCode = (personId: string, code: string): Buffer =>
  createHash("sha256").update(`${personId} ${code}`).digest();
