import type { FastifyInstance } from "fastify";
import { readField } from "../browser/form-fields.ts";
import { judgePassword } from "../people/password-rules.ts";
import { emailKey, parseDisplayName, parseEmail } from "../people/person.ts";
import { seeOther } from "../web/identity-app.ts";
import { findSignedIn, tell, type AccountParts } from "./account-parts.ts";
import { confirmPassword } from "./confirm-password.ts";

/** What people change about themselves: name, address, password. */
export function addAccountChanges(app: FastifyInstance, parts: AccountParts): void {
  addNameChange(app, parts);
  addEmailChange(app, parts);
  addPasswordChange(app, parts);
}

function addNameChange(app: FastifyInstance, parts: AccountParts): void {
  app.post("/account/name", async (request, reply) => {
    parts.browser.checkForm(request);
    const exchange = { request, reply };
    const who = await findSignedIn(parts, request);
    if (who === undefined) return seeOther(reply, parts.signedIn.signInUrl("/account"));
    const typed = readField(request, "displayName");
    const displayName = parseDisplayName(typed);
    if (displayName === undefined) {
      const problems = { displayName: "display-name" };
      return tell(parts, exchange, {
        ...HOME,
        form: "name",
        problems,
        values: { displayName: typed },
      });
    }
    await parts.people.store.setDisplayName(who.personId, displayName);
    return tell(parts, exchange, { ...HOME, form: "account", notice: "name" });
  });
}

function addEmailChange(app: FastifyInstance, parts: AccountParts): void {
  app.post("/account/email", async (request, reply) => {
    parts.browser.checkForm(request);
    const exchange = { request, reply };
    const who = await findSignedIn(parts, request);
    if (who === undefined) return seeOther(reply, parts.signedIn.signInUrl("/account"));
    const { person } = who;
    const typed = readField(request, "email");
    const values = { email: typed };
    const refuse = (problems: Readonly<Record<string, string>>) =>
      tell(parts, exchange, { ...HOME, form: "email", values, problems });
    const email = parseEmail(typed);
    if (email === undefined) return refuse({ email: "email-shape" });
    const isSame =
      person.isEmailVerified &&
      person.email !== undefined &&
      emailKey(person.email) === emailKey(email);
    if (isSame) return refuse({ email: "email-same" });
    // The address is the way back into the account: whoever changes it owns it.
    const wrong = await confirmPassword(parts, request, {
      person,
      password: readField(request, "password"),
      field: "password",
    });
    if (wrong !== undefined)
      return tell(parts, exchange, { ...HOME, form: "email", values, ...wrong });
    if (!(await parts.people.verification.begin(person, email))) {
      return refuse({ form: "email-budget" });
    }
    return tell(parts, exchange, { form: "verify", location: "/verify", notice: "code-sent" });
  });
}

function addPasswordChange(app: FastifyInstance, parts: AccountParts): void {
  const { people, sessions } = parts;
  app.post("/account/password", async (request, reply) => {
    parts.browser.checkForm(request);
    const exchange = { request, reply };
    const who = await findSignedIn(parts, request);
    if (who === undefined) return seeOther(reply, parts.signedIn.signInUrl("/account"));
    const { person, sessionId } = who;
    const refuse = (why: {
      readonly problems: Readonly<Record<string, string>>;
      readonly retryAfterSeconds?: number;
    }) => tell(parts, exchange, { ...HOME, form: "password", ...why });
    const password = readField(request, "password");
    const problem = judgePassword(password, {
      names: [person.loginName, person.displayName, person.email],
    });
    if (problem !== undefined) return refuse({ problems: { password: problem } });
    const wrong = await confirmPassword(parts, request, {
      person,
      password: readField(request, "current"),
      field: "current",
    });
    if (wrong !== undefined) return refuse(wrong);
    const hashing = people.passwords.hash(password);
    if (hashing === undefined) return refuse({ problems: { form: "busy" } });
    await people.store.setPasswordHash(person.id, await hashing);
    await sessions.endAll(person.id, { reason: "password-changed", exceptSessionId: sessionId });
    if (person.email !== undefined && person.isEmailVerified) {
      const to = { email: person.email, loginName: person.loginName };
      people.mail.post("password-changed", people.letters.passwordChanged(to));
    }
    return tell(parts, exchange, { ...HOME, form: "account", notice: "password" });
  });
}

const HOME = { location: "/account" };
