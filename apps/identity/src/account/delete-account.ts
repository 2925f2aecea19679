import type { FastifyInstance } from "fastify";
import { stateOf } from "../browser/flash.ts";
import { readField } from "../browser/form-fields.ts";
import { accountDeletedPage, deleteAccountPage } from "../pages/delete-account-page.ts";
import { seeOther, sendPage } from "../web/identity-app.ts";
import { findSignedIn, tell, type AccountParts } from "./account-parts.ts";
import { confirmPassword } from "./confirm-password.ts";

/** /account/delete: for good, after the password. */
export function addDeletion(app: FastifyInstance, parts: AccountParts): void {
  const { people, browser, signedIn, sessions } = parts;

  app.get("/account/delete", async (request, reply) => {
    const exchange = { request, reply };
    const who = await findSignedIn(parts, request);
    if (who === undefined) return seeOther(reply, signedIn.signInUrl("/account/delete"));
    const page = deleteAccountPage({
      formToken: browser.forms.issue(exchange),
      form: stateOf(browser.flash.take(exchange, FORM)),
      loginName: who.person.loginName,
    });
    return sendPage(reply, page);
  });

  app.post("/account/delete", async (request, reply) => {
    browser.checkForm(request);
    const exchange = { request, reply };
    const who = await findSignedIn(parts, request);
    if (who === undefined) return seeOther(reply, signedIn.signInUrl("/account/delete"));
    const { person } = who;
    const wrong = await confirmPassword(parts, request, {
      person,
      password: readField(request, "password"),
      field: "password",
    });
    if (wrong !== undefined) {
      return tell(parts, exchange, { form: FORM, location: "/account/delete", ...wrong });
    }
    // No new session from here on; then those that exist end, so that nothing of theirs is left when the person is gone.
    await people.store.setDisabled(person.id, true);
    await sessions.endAll(person.id, { reason: "person-deleted" });
    await people.store.delete(person.id);
    if (person.email !== undefined && person.isEmailVerified) {
      const to = { email: person.email, loginName: person.loginName };
      people.mail.post("account-deleted", people.letters.accountDeleted(to));
    }
    return seeOther(reply, "/account-deleted");
  });

  app.get("/account-deleted", async (_request, reply) => sendPage(reply, accountDeletedPage()));
}

const FORM = "delete";
