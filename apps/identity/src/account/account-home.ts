import type { FastifyInstance } from "fastify";
import { stateOf } from "../browser/flash.ts";
import { readField } from "../browser/form-fields.ts";
import { accountPage } from "../pages/account-page.ts";
import { nameDevice } from "../people/device-name.ts";
import { seeOther, sendPage } from "../web/identity-app.ts";
import { findSignedIn, tell, type AccountParts } from "./account-parts.ts";

/** /account: what there is, and ending sessions. */
export function addAccountHome(app: FastifyInstance, parts: AccountParts): void {
  const { people, browser, signedIn, sessions, clock } = parts;

  app.get("/account", async (request, reply) => {
    const exchange = { request, reply };
    const who = await findSignedIn(parts, request);
    if (who === undefined) return seeOther(reply, signedIn.signInUrl("/account"));
    const { person } = who;
    const told = browser.flash.take(exchange, "account", "name", "email", "password");
    const page = accountPage({
      formToken: browser.forms.issue(exchange),
      form: stateOf(told),
      sentForm: told?.form,
      loginName: person.loginName,
      displayName: person.displayName,
      email: person.email,
      isEmailVerified: person.isEmailVerified,
      pendingEmail: (await people.verification.pending(person.id))?.email,
      sessions: (await sessions.list(person.id)).map((session) => ({
        id: session.id,
        device: nameDevice(session.userAgent),
        startedAtMs: session.startedAtMs,
        lastUsedAtMs: session.lastUsedAtMs,
        isCurrent: session.id === who.sessionId,
      })),
      signOutUrl: signedIn.signOutUrl,
      nowMs: clock.wallMs(),
    });
    return sendPage(reply, page);
  });

  app.post("/account/sessions/end", async (request, reply) => {
    browser.checkForm(request);
    const who = await findSignedIn(parts, request);
    if (who === undefined) return seeOther(reply, signedIn.signInUrl("/account"));
    await sessions.end(who.personId, readField(request, "session"));
    return tell(parts, { request, reply }, { ...HOME, notice: "session-ended" });
  });

  app.post("/account/sessions/end-others", async (request, reply) => {
    browser.checkForm(request);
    const who = await findSignedIn(parts, request);
    if (who === undefined) return seeOther(reply, signedIn.signInUrl("/account"));
    await sessions.endAll(who.personId, {
      reason: "ended-by-person",
      exceptSessionId: who.sessionId,
    });
    return tell(parts, { request, reply }, { ...HOME, notice: "others-ended" });
  });
}

const HOME = { form: "account", location: "/account" };
