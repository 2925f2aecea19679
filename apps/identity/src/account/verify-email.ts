import type { FastifyInstance } from "fastify";
import { stateOf } from "../browser/flash.ts";
import { readField, readParameter } from "../browser/form-fields.ts";
import { parseOwnPath, withContinue } from "../browser/own-path.ts";
import { verifyPage } from "../pages/verify-page.ts";
import { seeOther, sendPage } from "../web/identity-app.ts";
import { findSignedIn, tell, type AccountParts } from "./account-parts.ts";

/** /verify: the code that was mailed. Only for the person themselves, signed in: then the code need not be long. */
export function addEmailVerification(app: FastifyInstance, parts: AccountParts): void {
  const { people, browser, signedIn } = parts;
  const { verification } = people;

  app.get("/verify", async (request, reply) => {
    const exchange = { request, reply };
    const who = await findSignedIn(parts, request);
    if (who === undefined) return seeOther(reply, signedIn.signInUrl("/verify"));
    const continueTo = parseOwnPath(readParameter(request, "continue"));
    const pending = await verification.pending(who.personId);
    if (pending === undefined) return seeOther(reply, "/account");
    const page = verifyPage({
      formToken: browser.forms.issue(exchange),
      form: stateOf(browser.flash.take(exchange, FORM)),
      email: pending.email,
      laterUrl: continueTo ?? "/account",
      continueTo,
    });
    return sendPage(reply, page);
  });

  app.post("/verify", async (request, reply) => {
    browser.checkForm(request);
    const exchange = { request, reply };
    const who = await findSignedIn(parts, request);
    if (who === undefined) return seeOther(reply, signedIn.signInUrl("/verify"));
    const continueTo = parseOwnPath(readField(request, "continue"));
    const { person } = who;
    const outcome = await verification.confirm(person.id, readField(request, "code"));
    switch (outcome) {
      case "verified": {
        const isReplaced = (await people.store.find(person.id))?.email !== person.email;
        // The old mailbox hears of it: it may be the only thing a thief of the session does not have (ASVS 6.3.7).
        if (isReplaced && person.isEmailVerified && person.email !== undefined) {
          const to = { email: person.email, loginName: person.loginName };
          people.mail.post("email-changed", people.letters.emailChanged(to));
        }
        if (continueTo !== undefined) return seeOther(reply, continueTo);
        return tell(parts, exchange, {
          form: "account",
          location: "/account",
          notice: "verified",
        });
      }
      case "taken":
        return tell(parts, exchange, {
          form: "account",
          location: "/account",
          problems: { form: "email-taken" },
        });
      case "wrong":
      case "expired":
        return tell(parts, exchange, {
          form: FORM,
          location: withContinue("/verify", continueTo),
          problems: { code: `code-${outcome}` },
        });
    }
  });

  app.post("/verify/again", async (request, reply) => {
    browser.checkForm(request);
    const exchange = { request, reply };
    const who = await findSignedIn(parts, request);
    if (who === undefined) return seeOther(reply, signedIn.signInUrl("/verify"));
    const location = withContinue("/verify", parseOwnPath(readField(request, "continue")));
    const email = (await verification.pending(who.personId))?.email;
    if (email === undefined) return seeOther(reply, "/account");
    const isSent = await verification.begin(who.person, email);
    return tell(parts, exchange, {
      form: FORM,
      location,
      ...(isSent ? { notice: "code-sent" } : { problems: { form: "email-budget" } }),
    });
  });
}

const FORM = "verify";
