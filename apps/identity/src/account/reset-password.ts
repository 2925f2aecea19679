import type { FastifyInstance } from "fastify";
import { readCookie, setCookie } from "../browser/cookies.ts";
import { stateOf } from "../browser/flash.ts";
import { readField, readParameter } from "../browser/form-fields.ts";
import {
  newPasswordPage,
  resetDonePage,
  resetRequestPage,
  resetSentPage,
} from "../pages/reset-pages.ts";
import { isSecretToken } from "../people/secret-token.ts";
import { parseOwnPath, withContinue } from "../browser/own-path.ts";
import { seeOther, sendPage } from "../web/identity-app.ts";
import { networkOf, tell, waitProblem, type AccountParts } from "./account-parts.ts";

/** /reset: ask for a link, follow it, choose a new password. */
export function addPasswordReset(app: FastifyInstance, parts: AccountParts): void {
  addRequest(app, parts);
  addNewPassword(app, parts);
}

function addRequest(app: FastifyInstance, parts: AccountParts): void {
  const { people, browser, signedIn } = parts;
  app.get("/reset", async (request, reply) => {
    const exchange = { request, reply };
    const continueTo = parseOwnPath(readParameter(request, "continue"));
    const page = resetRequestPage({
      formToken: browser.forms.issue(exchange),
      form: stateOf(browser.flash.take(exchange, REQUEST_FORM)),
      continueTo,
      signInUrl: continueTo ?? signedIn.signInUrl("/account"),
    });
    return sendPage(reply, page);
  });

  app.post("/reset", async (request, reply) => {
    browser.checkForm(request);
    const continueTo = parseOwnPath(readField(request, "continue"));
    const login = readField(request, "login");
    const answer = people.reset.request({ login, network: networkOf(request) });
    if (answer.outcome === "asked") return seeOther(reply, withContinue("/reset/sent", continueTo));
    return tell(
      parts,
      { request, reply },
      {
        form: REQUEST_FORM,
        location: withContinue("/reset", continueTo),
        values: { login },
        ...waitProblem(answer),
      },
    );
  });

  app.get("/reset/sent", async (request, reply) => {
    const continueTo = parseOwnPath(readParameter(request, "continue"));
    const signInUrl = continueTo ?? signedIn.signInUrl("/account");
    return sendPage(reply, resetSentPage({ signInUrl }));
  });
}

function addNewPassword(app: FastifyInstance, parts: AccountParts): void {
  const { people, browser, signedIn, sessions } = parts;

  // The link's token moves into a cookie at once: what stands in the address ends in histories and, behind proxies, in logs.
  app.get("/reset/open", async (request, reply) => {
    const token = readParameter(request, "token");
    if (isSecretToken(token)) {
      setCookie(reply, { name: COOKIE, value: token, maxAgeSeconds: COOKIE_SECONDS });
    }
    return seeOther(reply, "/reset/new");
  });

  app.get("/reset/new", async (request, reply) => {
    const exchange = { request, reply };
    const person = await people.reset.find(readCookie(request, COOKIE) ?? "");
    if (person === undefined) return tell(parts, exchange, EXPIRED);
    const page = newPasswordPage({
      formToken: browser.forms.issue(exchange),
      form: stateOf(browser.flash.take(exchange, NEW_FORM)),
      loginName: person.loginName,
    });
    return sendPage(reply, page);
  });

  app.post("/reset/new", async (request, reply) => {
    browser.checkForm(request);
    const exchange = { request, reply };
    const token = readCookie(request, COOKIE) ?? "";
    const answer = await people.reset.redeem(token, readField(request, "password"));
    switch (answer.outcome) {
      case "expired":
        return tell(parts, exchange, EXPIRED);
      case "refused": {
        const problems = { password: answer.problem };
        return tell(parts, exchange, { form: NEW_FORM, location: "/reset/new", problems });
      }
      case "wait":
      case "busy":
        return tell(parts, exchange, {
          form: NEW_FORM,
          location: "/reset/new",
          ...waitProblem(answer),
        });
      case "changed": {
        const { person } = answer;
        // Whoever knew the old password, or sat in one of the sessions, is out (ASVS 7.4.3).
        await sessions.endAll(person.id, { reason: "password-changed" });
        setCookie(reply, { name: COOKIE, value: "", maxAgeSeconds: 0 });
        if (person.email !== undefined) {
          const to = { email: person.email, loginName: person.loginName };
          people.mail.post("password-changed", people.letters.passwordChanged(to));
        }
        return seeOther(reply, "/reset/done");
      }
    }
  });

  app.get("/reset/done", async (_request, reply) =>
    sendPage(reply, resetDonePage({ signInUrl: signedIn.signInUrl("/account") })),
  );
}

const REQUEST_FORM = "reset";
const NEW_FORM = "reset-new";
const EXPIRED = { form: REQUEST_FORM, location: "/reset", problems: { form: "link-expired" } };
const COOKIE = "__Host-identity-reset";
/** As long as the token itself. */
const COOKIE_SECONDS = 1_800;
