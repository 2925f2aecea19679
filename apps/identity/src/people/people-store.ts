import assert from "node:assert/strict";
import type { Clock, Random } from "@tidegate/clock";
import { randomUuid, type Database } from "@tidegate/service-kit";
import type { Selectable } from "kysely";
import type { PeopleTables } from "./people-schema.ts";
import { emailKey, parseLoginName, type Person } from "./person.ts";

export interface NewPerson {
  /** As `parseLoginName` answers it. */
  readonly loginName: string;
  /** The login name when left out. */
  readonly displayName?: string | undefined;
  readonly email: string | undefined;
  /** True only where an administrator vouches for the address. */
  readonly isEmailVerified?: boolean;
  readonly passwordHash: string;
}

/** A person with what checks their password. The hash never leaves `people/`. */
export interface PersonWithHash {
  readonly person: Person;
  readonly passwordHash: string;
}

/** Everybody who can sign in, in SQLite. What a promise has answered is on disk. */
export class PeopleStore {
  readonly #database: Database<PeopleTables>;
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(options: {
    readonly database: Database<PeopleTables>;
    readonly clock: Clock;
    readonly random: Random;
  }) {
    this.#database = options.database;
    this.#clock = options.clock;
    this.#random = options.random;
  }

  /** @returns undefined when the login name, or the verified address, is somebody else's */
  async create(person: NewPerson): Promise<Person | undefined> {
    assert(parseLoginName(person.loginName) === person.loginName, "a login name is read first");
    const nowMs = this.#clock.wallMs();
    const row = await this.#database.query
      .insertInto("people")
      .values({
        id: randomUuid(this.#random),
        login_name: person.loginName,
        display_name: person.displayName ?? person.loginName,
        email: person.email ?? null,
        email_key: person.email === undefined ? null : emailKey(person.email),
        is_email_verified: person.email !== undefined && person.isEmailVerified === true ? 1 : 0,
        is_disabled: 0,
        password_hash: person.passwordHash,
        password_changed_at_ms: nowMs,
        created_at_ms: nowMs,
      })
      .onConflict((conflict) => conflict.doNothing())
      .returningAll()
      .executeTakeFirst();
    return row && toPerson(row);
  }

  async find(id: string): Promise<Person | undefined> {
    return (await this.#findRow(id))?.person;
  }

  async findWithHash(id: string): Promise<PersonWithHash | undefined> {
    return this.#findRow(id);
  }

  async findByLoginName(loginName: string): Promise<Person | undefined> {
    return (await this.#findBy("login_name", loginName))?.person;
  }

  /**
   * Whom this text names: a login name, or an address that was verified. An address that was only claimed names
   * nobody, or a stranger could sit on it.
   */
  async findByLogin(text: string): Promise<PersonWithHash | undefined> {
    const login = text.trim();
    return login.includes("@")
      ? this.#findBy("email_key", emailKey(login))
      : this.#findBy("login_name", login.toLowerCase());
  }

  /**
   * A page of people in the order of their login names.
   * @param page.search part of a login name or address
   * @param page.after the last login name of the page before
   */
  async list(page: {
    readonly limit: number;
    readonly after?: string | undefined;
    readonly search?: string | undefined;
  }): Promise<Person[]> {
    let query = this.#database.query
      .selectFrom("people")
      .selectAll()
      .where("login_name", ">", page.after ?? "")
      .orderBy("login_name")
      .limit(page.limit);
    const { search } = page;
    if (search !== undefined && search !== "") {
      // instr: no wildcards, so that `%` is an ordinary character.
      const part = search.toLowerCase();
      query = query.where((build) =>
        build.or([
          build(build.fn<number>("instr", ["login_name", build.val(part)]), ">", 0),
          build(build.fn<number>("instr", ["email_key", build.val(part)]), ">", 0),
        ]),
      );
    }
    return (await query.execute()).map(toPerson);
  }

  async count(): Promise<number> {
    const { count } = await this.#database.query
      .selectFrom("people")
      .select(({ fn }) => fn.countAll<number>().as("count"))
      .executeTakeFirstOrThrow();
    return count;
  }

  /** Whether there was such a person. Everything that was mailed for a reset dies with the old password. */
  async setPasswordHash(id: string, passwordHash: string): Promise<boolean> {
    return this.#database.query.transaction().execute(async (queries) => {
      const { numUpdatedRows } = await queries
        .updateTable("people")
        .set({ password_hash: passwordHash, password_changed_at_ms: this.#clock.wallMs() })
        .where("id", "=", id)
        .executeTakeFirstOrThrow();
      await queries.deleteFrom("reset_tokens").where("person", "=", id).execute();
      return numUpdatedRows > 0n;
    });
  }

  async setDisplayName(id: string, displayName: string): Promise<void> {
    await this.#database.query
      .updateTable("people")
      .set({ display_name: displayName })
      .where("id", "=", id)
      .execute();
  }

  /** Sessions and tokens are the caller's to end. @returns whether there was such a person */
  async setDisabled(id: string, isDisabled: boolean): Promise<boolean> {
    const { numUpdatedRows } = await this.#database.query
      .updateTable("people")
      .set({ is_disabled: isDisabled ? 1 : 0 })
      .where("id", "=", id)
      .executeTakeFirstOrThrow();
    return numUpdatedRows > 0n;
  }

  /** Sessions and tokens are the caller's to end, before. @returns whether there was such a person */
  async delete(id: string): Promise<boolean> {
    const { numDeletedRows } = await this.#database.query
      .deleteFrom("people")
      .where("id", "=", id)
      .executeTakeFirstOrThrow();
    return numDeletedRows > 0n;
  }

  async #findRow(id: string): Promise<PersonWithHash | undefined> {
    const row = await this.#database.query
      .selectFrom("people")
      .selectAll()
      .where("id", "=", id)
      .executeTakeFirst();
    return row && { person: toPerson(row), passwordHash: row.password_hash };
  }

  async #findBy(column: "login_name" | "email_key", value: string) {
    let query = this.#database.query.selectFrom("people").selectAll().where(column, "=", value);
    if (column === "email_key") query = query.where("is_email_verified", "=", 1);
    const row = await query.executeTakeFirst();
    return row && { person: toPerson(row), passwordHash: row.password_hash };
  }
}

function toPerson(row: Selectable<PeopleTables["people"]>): Person {
  return Object.freeze({
    id: row.id,
    loginName: row.login_name,
    displayName: row.display_name,
    email: row.email ?? undefined,
    isEmailVerified: row.is_email_verified === 1,
    isDisabled: row.is_disabled === 1,
    createdAtMs: row.created_at_ms,
  });
}
