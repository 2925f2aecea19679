import type { Random } from "@tidegate/clock";
import type { IdentityEvents } from "../events.ts";
import { judgePassword } from "../people/password-rules.ts";
import type { People } from "../people/people.ts";
import { parseDisplayName, parseEmail, parseLoginName, type Person } from "../people/person.ts";
import type { SessionRecord, SessionStore } from "../provider/session-store.ts";
import { Refused } from "../web/refused.ts";

export interface NewAccount {
  readonly loginName: string;
  readonly displayName?: string | undefined;
  readonly email?: string | undefined;
  /** Made here and answered once when left out. */
  readonly password?: string | undefined;
}

/** What administrators do to people. By `sub` or login name: a login name is never as long as a `sub`. */
export interface PeopleAdministration {
  list(page: {
    readonly search: string | undefined;
    readonly after: string | undefined;
    readonly limit: number;
  }): Promise<readonly Person[]>;
  find(who: string): Promise<Person>;
  /** @returns the password only when it was made here */
  create(account: NewAccount): Promise<{ readonly person: Person; readonly password?: string }>;
  /** From when this resolves, nothing of theirs works: sessions, grants, tokens; their clients are being told. */
  disable(who: string): Promise<{ readonly person: Person; readonly endedSessions: number }>;
  enable(who: string): Promise<Person>;
  /** Gives them another password and ends every session. @returns the password only when it was made here */
  reset(
    who: string,
    password: string | undefined,
  ): Promise<{ readonly person: Person; readonly password?: string }>;
  /**
   * Mails them a link to choose a password themselves. Until they do, the old one works and sessions go on.
   * @throws {Refused} 409 when no letter can reach them, 503 when too many letters wait
   */
  sendReset(who: string): Promise<Person>;
  sessions(who: string): Promise<readonly SessionRecord[]>;
  endSessions(who: string): Promise<{ readonly person: Person; readonly endedSessions: number }>;
  /** @throws {Refused} 404 when it is not theirs */
  endSession(who: string, sessionId: string): Promise<void>;
}

export function createPeopleAdministration(parts: {
  readonly people: People;
  readonly sessions: SessionStore;
  readonly random: Random;
  readonly events: IdentityEvents;
}): PeopleAdministration {
  const { people, sessions, random, events } = parts;
  const { store } = people;

  const find = async (who: string): Promise<Person> => {
    const person = (await store.find(who)) ?? (await store.findByLoginName(who.toLowerCase()));
    if (person === undefined) throw new Refused(404, `There is nobody called ${who}.`);
    return person;
  };
  const again = async (id: string): Promise<Person> => {
    const person = await store.find(id);
    if (person === undefined) throw new Refused(404, "This person was deleted meanwhile.");
    return person;
  };
  const hash = async (password: string): Promise<string> => {
    const hashing = people.passwords.hash(password);
    if (hashing === undefined) {
      throw new Refused(503, "Too many passwords are being hashed.", {
        fields: { "retry-after": "3" },
      });
    }
    return hashing;
  };
  const choose = (given: string | undefined, names: readonly (string | undefined)[]): string => {
    if (given === undefined) return makePassword(random);
    const problem = judgePassword(given, { names });
    if (problem !== undefined) throw new Refused(400, `The password is refused: ${problem}.`);
    return given;
  };
  const done = (action: string, personId: string): void =>
    events.administered({ action, personId, isDone: true });

  /** Reading is written down too: whose data was looked at is a question that gets asked. */
  const read = (action: string, personId?: string): void =>
    events.administered({ action, personId, isDone: true });

  return {
    async list(page) {
      const found = await store.list({ ...page });
      read("list");
      return found;
    },
    async find(who) {
      const person = await find(who);
      read("show", person.id);
      return person;
    },
    async create(account) {
      const loginName = parseLoginName(account.loginName);
      if (loginName === undefined) {
        throw new Refused(
          400,
          "The login name must be 3 to 32 of a-z, 0-9, dot, hyphen, underscore.",
        );
      }
      const email = account.email === undefined ? undefined : parseEmail(account.email);
      if (account.email !== undefined && email === undefined) {
        throw new Refused(400, "This is no e-mail address.");
      }
      const displayName =
        account.displayName === undefined ? undefined : parseDisplayName(account.displayName);
      if (account.displayName !== undefined && displayName === undefined) {
        throw new Refused(400, "The shown name must be 1 to 64 characters that can be seen.");
      }
      const password = choose(account.password, [loginName, email]);
      const person = await store.create({
        loginName,
        displayName,
        email,
        // The administrator vouches for it.
        isEmailVerified: email !== undefined,
        passwordHash: await hash(password),
      });
      if (person === undefined) throw new Refused(409, "The login name or the address is taken.");
      done("create", person.id);
      return { person, ...(account.password === undefined && { password }) };
    },
    async disable(who) {
      const { id } = await find(who);
      // First the person, then what they have: what is under way meets a person who is not there.
      await store.setDisabled(id, true);
      const endedSessions = await sessions.endAll(id, "person-disabled");
      done("disable", id);
      return { person: await again(id), endedSessions };
    },
    async enable(who) {
      const { id } = await find(who);
      await store.setDisabled(id, false);
      done("enable", id);
      return again(id);
    },
    async reset(who, given) {
      const { id, loginName, displayName, email } = await find(who);
      const password = choose(given, [loginName, displayName, email]);
      await store.setPasswordHash(id, await hash(password));
      await sessions.endAll(id, "password-changed");
      done("reset", id);
      return { person: await again(id), ...(given === undefined && { password }) };
    },
    async sendReset(who) {
      const person = await find(who);
      const outcome = await people.reset.sendTo(person);
      events.administered({
        action: "send-reset",
        personId: person.id,
        isDone: outcome === "sent",
      });
      switch (outcome) {
        case "sent":
          return person;
        case "unreachable":
          throw new Refused(409, "They are disabled, or have no address that was confirmed.");
        case "full":
          throw new Refused(503, "Too many letters wait.", { fields: { "retry-after": "60" } });
      }
    },
    async sessions(who) {
      const { id } = await find(who);
      read("sessions", id);
      return sessions.list(id);
    },
    async endSessions(who) {
      const person = await find(who);
      const endedSessions = await sessions.endAll(person.id, "ended-by-administrator");
      done("end-sessions", person.id);
      return { person, endedSessions };
    },
    async endSession(who, sessionId) {
      const person = await find(who);
      const records = await sessions.list(person.id);
      if (!records.some(({ session }) => session.uid === sessionId)) {
        throw new Refused(404, "They have no such session.");
      }
      await sessions.end(sessionId, "ended-by-administrator");
      done("end-session", person.id);
    },
  };
}

/** 24 characters of base64url: 144 bits, to be passed on once and changed. */
const makePassword = (random: Random): string => random.bytes(18).toString("base64url");
